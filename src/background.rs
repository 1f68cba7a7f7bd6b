//! Long work that must not slow down answers.

use std::panic::resume_unwind;
use std::thread::{self, Builder};

/// How far a thread of the background stands back. At 10 the scheduler of Linux gives it a tenth of a processor that
/// others want all of ([sched(7)](https://man7.org/linux/man-pages/man7/sched.7.html)): with less, a load on a busy
/// server would not come to its end within the time of its vetting.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Runs `work` on a thread of its own that leaves the processors to others, and waits for it.
///
/// A thread of its own, since an ordinary user may lower a priority and not raise it again. Threads that `work` starts
/// have its priority: it must start none that are to answer. Elsewhere than on Linux, where a priority is the whole process's, or where no
/// thread is to be had, `work` is run by the caller.
///
/// # Panics
///
/// As `work` does.
pub(crate) fn in_background<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if !cfg!(target_os = "linux") {
        return work();
    }
    let mut work = Some(work);
    let done = thread::scope(|scope| {
        let work = &mut work;
        let thread = Builder::new().name("background".to_owned());
        let thread = thread.spawn_scoped(scope, move || {
            stand_back();
            work.take().map(|work| work())
        });
        let joined = thread.ok()?.join();
        joined.unwrap_or_else(|panic| resume_unwind(panic))
    });
    // There was no thread to take it, so it is there still.
    done.unwrap_or_else(|| work.take().expect("work that was not run")())
}

/// Lowers the priority of the calling thread.
fn stand_back() {
    // Where that is forbidden the work is done all the same.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICENESS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_what_the_work_gives() {
        let text = "borrowed".to_owned();
        assert_eq!(in_background(|| text.len()), 8);
    }

    #[test]
    fn a_panic_of_the_work_is_the_callers() {
        let caught = crate::panics::catch(|| in_background(|| -> () { panic!("within") }));
        assert_eq!(caught, Err("within".to_owned()));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_work_stands_back_and_the_caller_does_not() {
        use rustix::process::getpriority_process;

        let before = getpriority_process(None).unwrap();
        let within = in_background(|| getpriority_process(None).unwrap());
        assert_eq!(within, (before + NICENESS).min(19));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
