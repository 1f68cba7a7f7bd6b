//! Arithmetic with durations that never overflows.

use std::time::{Duration, Instant};

/// The moment after so much time; of what no clock can hold, one in a century.
pub(crate) fn deadline(after: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    Instant::now() + after.min(CENTURY)
}

/// In whole microseconds, saturating after 584,000 years.
pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// For people: `2.31s`, `12s` from ten seconds on, `2m 5s` from two minutes on.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.2}s", duration.as_secs_f64()),
        10..120 => format!("{seconds}s"),
        _ => format!("{}m {}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_as_exact_as_they_matter() {
        let told = |ms| seconds(Duration::from_millis(ms));
        assert_eq!(told(2_310), "2.31s");
        assert_eq!(told(12_900), "12s");
        assert_eq!(told(125_000), "2m 5s");
    }
}
