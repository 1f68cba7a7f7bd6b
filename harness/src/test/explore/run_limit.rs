//! The time limits of runs that an exploration has disturbed.

use std::sync::OnceLock;
use std::time::Duration;

/// The minimum of a limit.
const MIN: Duration = Duration::from_secs(5);

/// The limit, as a multiple of the time of the first run.
const FACTOR: u32 = 20;

/// The limit of all runs after the first, which the test's own timeout limits.
#[derive(Debug, Default)]
pub(super) struct RunLimit(OnceLock<Duration>);

impl RunLimit {
    /// Returns the limit, or `None` before the first run.
    pub(super) fn get(&self) -> Option<Duration> {
        self.0.get().copied()
    }

    /// Sets the limit, if this run is the first.
    pub(super) fn note(&self, took: Duration) {
        self.0.get_or_init(|| MIN.max(took.saturating_mul(FACTOR)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_that_of_the_first_run() {
        let limit = RunLimit::default();
        assert_eq!(limit.get(), None);
        limit.note(Duration::from_secs(1));
        limit.note(Duration::from_secs(9));
        assert_eq!(limit.get(), Some(Duration::from_secs(20)));
        let short = RunLimit::default();
        short.note(Duration::from_millis(1));
        assert_eq!(short.get(), Some(MIN));
    }
}
