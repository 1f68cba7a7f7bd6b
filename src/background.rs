//! Runs long work on threads of low priority, so that the work does not slow down answers to
//! requests.

use std::panic::resume_unwind;
use std::thread::{self, Builder};

/// The nice value of a background thread.
// With the nice value 10, a background thread gets about a tenth of a fully used processor: see
// [sched(7)](https://man7.org/linux/man-pages/man7/sched.7.html). With a smaller share, the vetting
// of a model on a busy server would exceed its time limit.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Runs `work` on a new thread of low priority, and waits for its result.
///
/// A thread that `work` starts inherits the low priority. So `work` must not start threads that
/// answer requests. The calling thread runs `work` on systems other than Linux. It also runs `work`
/// if no thread can be started.
///
/// # Panics
///
/// When `work` panics.
// Uses a new thread, because an ordinary user may lower a priority but not raise it again. On
// Linux, a priority applies to one thread; on other systems, it applies to the whole process.
pub(crate) fn in_background<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if !cfg!(target_os = "linux") {
        return work();
    }
    let mut work = Some(work);
    let done = thread::scope(|scope| {
        let work = &mut work;
        let thread = Builder::new().name("background".to_owned());
        let thread = thread.spawn_scoped(scope, move || {
            lower_priority();
            work.take().map(|work| work())
        });
        let joined = thread.ok()?.join();
        joined.unwrap_or_else(|panic| resume_unwind(panic))
    });
    // `None` means that no thread was started, so `work` has not run yet.
    done.unwrap_or_else(|| {
        work.take()
            .expect("only the thread takes the work, and none was started")()
    })
}

/// Lowers the priority of the calling thread.
fn lower_priority() {
    // If lowering the priority fails, the work runs at the caller's priority.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICENESS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_background_returns_the_result() {
        let text = "borrowed".to_owned();
        assert_eq!(in_background(|| text.len()), 8);
    }

    #[test]
    fn in_background_forwards_a_panic() {
        let caught = crate::panics::catch(|| in_background(|| -> () { panic!("within") }));
        assert_eq!(caught, Err("within".to_owned()));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn in_background_lowers_only_its_own_priority() {
        use rustix::process::getpriority_process;

        let before = getpriority_process(None).unwrap();
        let within = in_background(|| getpriority_process(None).unwrap());
        assert_eq!(within, (before + NICENESS).min(19));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
