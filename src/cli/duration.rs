//! Times on the command line.

use std::time::Duration;

/// No parse_duration that is given is longer: moments beyond it could not be counted on every platform.
const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A parse_duration with its unit, as in `500ms`, `30s`, `2m`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= MAX_DURATION => Ok(duration),
        Ok(_) => Err("expected at most a year".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
