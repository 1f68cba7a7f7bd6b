//! The idle threads of all sessions.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

/// The time after which an idle thread ends.
const IDLE: Duration = Duration::from_secs(10);

/// The number of idle threads for each processor, beyond which a thread ends at once.
const IDLE_PER_PROCESSOR: usize = 8;

/// The number of threads that wait for work, over all sessions of a runtime.
// With 2,000 models, threads that stay would be 4,000 and more. To start a thread takes about
// 0.1 ms.
#[derive(Debug)]
pub(crate) struct IdleThreads {
    count: AtomicUsize,
    limit: usize,
    time: Duration,
}

impl IdleThreads {
    /// Idle threads that end after `time`, or at once beyond `limit`.
    pub(super) fn new(limit: usize, time: Duration) -> Self {
        let count = AtomicUsize::new(0);
        Self { count, limit, time }
    }

    /// Counts the calling thread as idle. Returns the longest time for which it may wait.
    pub(super) fn begin(&self) -> Duration {
        match self.count.fetch_add(1, Ordering::Relaxed) < self.limit {
            true => self.time,
            false => Duration::ZERO,
        }
    }

    /// No longer counts the calling thread as idle.
    pub(super) fn end(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for IdleThreads {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, NonZeroUsize::get);
        Self::new(processors.saturating_mul(IDLE_PER_PROCESSOR), IDLE)
    }
}
