//! Measures real durations, for metrics.

use std::time::{Duration, Instant};

/// Measures real time, even while a test pauses or advances Tokio's clock.
///
/// Use it for measurements only. Decisions must use `tokio::time`.
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
