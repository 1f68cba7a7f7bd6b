//! On which processor the harness's own threads run.
//!
//! A test that does nothing is a row of short steps, each in another thread or process: the runner orders, the supervisor forks, the test's thread
//! runs, its process ends, the supervisor answers. Left alone, the kernel puts each on the other processor, which is idle; waking that takes longer than the
//! step (measured on a virtual machine with two: 840 µs of CPU time for an empty test, and 590 µs when all its steps are on one). So each slot has a
//! processor for these steps. The test's own thread, and all that it starts, may run anywhere.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::cell::Cell;
use std::sync::OnceLock;

/// Where this process might run at first.
static ALLOWED: OnceLock<Option<CpuSet>> = OnceLock::new();

thread_local! {
    /// The processor that this thread is bound to.
    static BOUND: Cell<Option<usize>> = const { Cell::new(None) };
}

fn allowed() -> Option<CpuSet> {
    // There may be more processors than the set can hold; then all of this is left to the kernel.
    *ALLOWED.get_or_init(|| sched_getaffinity(None).ok())
}

/// The processor of the slot with this number.
pub(crate) fn processor_of(slot: usize) -> Option<usize> {
    let allowed = allowed()?;
    let processors = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor));
    let count = usize::try_from(allowed.count()).ok()?;
    processors.cycle().nth(slot % count.max(1))
}

/// The processor that this thread was bound to.
pub(crate) fn bound() -> Option<usize> {
    BOUND.get()
}

/// Lets this thread, and those that it starts, run on that processor alone.
pub(crate) fn bind(processor: Option<usize>) {
    let Some(processor) = processor else { return };
    if allowed().is_some() && BOUND.get() != Some(processor) {
        let mut set = CpuSet::new();
        set.set(processor);
        // It is about speed alone.
        if sched_setaffinity(None, &set).is_ok() {
            BOUND.set(Some(processor));
        }
    }
}

/// Lets this thread run wherever the process might at first.
pub(crate) fn unbind() {
    if let Some(Some(allowed)) = ALLOWED.get() {
        let _ = sched_setaffinity(None, allowed);
    }
}
