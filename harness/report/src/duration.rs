//! Formats durations for human readers.

use std::time::Duration;

/// Formats microseconds as milliseconds, such as `12.345 ms`.
pub(crate) fn format_milliseconds(us: u64) -> String {
    format!("{}.{:03} ms", us / 1000, us % 1000)
}

/// Formats a duration: `2.31s`, `12s` from ten seconds on, `2m 5s` from two minutes on.
#[must_use]
pub fn format_seconds(duration: Duration) -> String {
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
    fn seconds_have_fewer_digits_the_longer_they_are() {
        let format = |ms| format_seconds(Duration::from_millis(ms));
        assert_eq!(format(2_310), "2.31s");
        assert_eq!(format(12_900), "12s");
        assert_eq!(format(125_000), "2m 5s");
    }
}
