//! Durations as people read them.

use std::time::Duration;

pub(crate) fn milliseconds(us: u64) -> String {
    format!("{}.{:03} ms", us / 1000, us % 1000)
}

/// For people: `2.31s`, `12s` from ten seconds on, `2m 5s` from two minutes on.
pub fn seconds(duration: Duration) -> String {
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
