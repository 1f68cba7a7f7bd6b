//! Threads that share out work.

use std::thread;

/// Calls `work` on so many threads, or fewer where the system gives no more, of which this is one, and returns when all have.
pub(crate) fn on_threads(count: usize, work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 1..count {
            if thread::Builder::new().spawn_scoped(scope, &work).is_err() {
                break;
            }
        }
        work();
    });
}
