//! Arithmetic with durations, without overflow.

use std::time::{Duration, Instant};

/// Returns the current instant plus `after`. Caps `after` at 100 years to avoid overflow.
pub(crate) fn deadline(after: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    Instant::now() + after.min(CENTURY)
}

/// Converts a duration to whole microseconds. The result saturates after 584,000 years.
pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
