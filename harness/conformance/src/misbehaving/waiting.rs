//! Waiting for events that must come.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` holds, and returns an error after 20 seconds.
pub(crate) fn until(
    what: &str,
    mut condition: impl FnMut() -> clarity_chaos::Result<bool>,
) -> clarity_chaos::Result {
    let deadline = Instant::now() + PATIENCE;
    while !condition()? {
        if Instant::now() >= deadline {
            return Err(format!("{what}: not within {PATIENCE:?}").into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The limit of waits for events that must come, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
