//! Times on the command line.

use std::time::Duration;

/// No time that is given is longer: moments beyond it could not be counted on every platform.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A time with its unit, as in `500ms`, `30s`, `2m`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time <= LONGEST => Ok(time),
        Ok(_) => Err("expected at most a year".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
