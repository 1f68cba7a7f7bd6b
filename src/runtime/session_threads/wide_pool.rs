//! Pools whose threads share the work of one run.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rten::ThreadPool;

use crate::system_thread::SystemThread;

/// A pool of several threads, for one run at a time.
#[derive(Debug)]
pub(super) struct WidePool {
    pool: Arc<ThreadPool>,
    threads: Vec<SystemThread>,
}

impl WidePool {
    /// Starts the threads, with the priority of the caller.
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        let pool = Arc::new(ThreadPool::with_num_threads(threads.get()));
        let threads = pool.run(|| rayon::broadcast(|_| SystemThread::current()));
        Self { pool, threads }
    }

    pub(super) fn pool(&self) -> Arc<ThreadPool> {
        Arc::clone(&self.pool)
    }

    /// Gives all threads the lowest priority, for good.
    pub(super) fn lower_priority(&self) {
        for thread in &self.threads {
            thread.lower_priority();
        }
    }

    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn has_lowest_priority(&self) -> bool {
        let mut threads = self.threads.iter();
        threads.all(|thread| thread.has_lowest_priority())
    }
}
