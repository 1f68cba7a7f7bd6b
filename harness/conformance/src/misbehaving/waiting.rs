//! Waits for a condition, for at most 20 seconds.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` holds. Fails after 20 seconds, or at the first error of `condition`.
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

/// The limit of each wait, long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
