//! Real durations, for metrics only.

use std::time::{Duration, Instant};

/// Measures how long work really took, also where Tokio's clock is paused or driven by hand: a verification that takes
/// 3 ms takes them under any clock. Nothing is ever decided by it; what is decided by time uses `tokio::time`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
