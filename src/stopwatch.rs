//! Real durations, for metrics.

use std::time::{Duration, Instant};

/// Measures real time, also while Tokio's clock is paused or driven by a test.
///
/// Use it for measurements only. Decisions use `tokio::time`.
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
