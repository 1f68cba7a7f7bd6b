//! Binds the harness's own threads to one processor for each worker.
//!
//! An empty test is a sequence of short steps, each in a different thread or process. The runner
//! requests the test, the supervisor forks, the test's thread runs, the test's process ends, and
//! the supervisor answers.
//!
//! By default the kernel puts each step on an idle processor instead of the processor that ran the
//! previous step. Waking the idle processor takes longer than the step. On a virtual machine with
//! two processors, an empty test takes 840 µs of CPU time. With all steps on one processor, the
//! test takes 590 µs.
//!
//! So each worker has a processor for these steps. The test's own thread, and all threads and
//! processes that it starts, may run on any processor. So may the supervisors that a bound thread
//! starts, and their tests.

use rustix::process::getpid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::cell::Cell;
use std::sync::OnceLock;

/// The processors that this process could run on before any of its threads was bound.
static ALLOWED: OnceLock<Option<CpuSet>> = OnceLock::new();

thread_local! {
    /// The processor that this thread is bound to.
    static BOUND: Cell<Option<usize>> = const { Cell::new(None) };
}

fn allowed() -> Option<CpuSet> {
    // A machine can have more processors than the set can hold. Then no thread is bound.
    *ALLOWED.get_or_init(|| sched_getaffinity(None).ok())
}

/// Returns the processor of the worker with the number `slot`; `None` if the allowed processors are
/// unknown.
pub(crate) fn processor_of(slot: usize) -> Option<usize> {
    let allowed = allowed()?;
    let processors = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor));
    let count = usize::try_from(allowed.count()).ok()?;
    processors.cycle().nth(slot % count.max(1))
}

/// Gives the processor to which this thread was last bound.
pub(crate) fn bound() -> Option<usize> {
    BOUND.get()
}

/// Binds this thread, and threads that it starts later, to this processor. Binds no thread if
/// `processor` is `None`. The first call remembers [`ALLOWED`].
pub(crate) fn bind(processor: Option<usize>) {
    let (Some(_allowed), Some(processor)) = (allowed(), processor) else {
        return;
    };
    if BOUND.get() != Some(processor) {
        let mut set = CpuSet::new();
        set.set(processor);
        // A failure is ignored: it only costs speed.
        if sched_setaffinity(None, &set).is_ok() {
            BOUND.set(Some(processor));
        }
    }
}

/// Undoes [`bind`]: this thread can run on all [`ALLOWED`] processors again. Also undoes the change
/// of another process.
///
/// A new thread or process inherits the processors of the thread that starts it. So call this
/// function before this thread starts a thread or process that must not be bound.
pub(crate) fn unbind() {
    if let Some(allowed) = allowed() {
        // Fails only if the system has taken all of these processors away, and has itself chosen
        // others for this thread.
        let _ = sched_setaffinity(None, &allowed);
        BOUND.set(None);
    }
}

/// Undoes [`bind`] for this thread and for the main thread of its process.
// The main thread waits for this thread. If it undid `bind` itself before it starts this thread,
// the kernel would start this thread on another processor.
pub(crate) fn unbind_with_main_thread() {
    unbind();
    if let Some(allowed) = allowed() {
        let _ = sched_setaffinity(Some(getpid()), &allowed);
    }
}
