//! Runs one closure on several threads.

use std::thread;

/// Runs `work` on `count` threads, including the calling thread. Returns when all threads have
/// ended. Uses fewer threads if the system refuses to start more threads.
pub(crate) fn run_on(count: usize, work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 1..count {
            if thread::Builder::new().spawn_scoped(scope, &work).is_err() {
                break;
            }
        }
        work();
    });
}
