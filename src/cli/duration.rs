//! Durations on the command line.

use std::time::Duration;

/// The maximum duration. An instant plus a longer duration overflows on some platforms.
const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Parses a duration with its unit, such as `500ms`, `30s` or `2m`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= MAX_DURATION => Ok(duration),
        Ok(_) => Err("expected at most a year".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
