//! Arithmetic with durations that never overflows.

use std::time::{Duration, Instant};

/// `now + after`, capped at 100 years to avoid overflow.
pub(crate) fn deadline(after: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    Instant::now() + after.min(CENTURY)
}

/// Whole microseconds, saturating after 584,000 years.
pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
