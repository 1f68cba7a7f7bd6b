//! Primitives that loom schedules in all orders: <https://docs.rs/loom>.

use std::cell::Cell;
use std::sync::LazyLock;

pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
pub(crate) use loom::sync::{Mutex, MutexGuard};
pub(crate) use tokio::time::Instant;

loom::thread_local! {
    /// The number of the current thread, set by the scenario that starts the thread.
    pub(crate) static THREAD_NUMBER: Cell<usize> = Cell::new(0);
}

/// Returns the same time at every call, so no result depends on loom's speed.
pub(crate) fn now() -> Instant {
    static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);
    *NOW
}

pub(crate) fn thread_number() -> usize {
    THREAD_NUMBER.with(Cell::get)
}

pub(crate) fn parallelism() -> usize {
    2
}
