//! The time limits of runs that an exploration has disturbed.

use std::cell::Cell;
use std::time::Duration;

/// The minimum of a limit.
const MIN: Duration = Duration::from_secs(5);

/// The limit, as a multiple of the time of the longest run so far.
const FACTOR: u32 = 20;

/// The limit of all runs after the first, which the test's own timeout limits.
#[derive(Debug, Default)]
pub(super) struct RunLimit(Cell<Option<Duration>>);

impl RunLimit {
    /// Returns the limit, or `None` before the first run.
    pub(super) fn get(&self) -> Option<Duration> {
        self.0.get()
    }

    /// Takes the time of a run that has ended on its own into account.
    pub(super) fn note(&self, took: Duration) {
        let limit = MIN.max(took.saturating_mul(FACTOR));
        self.0.set(self.0.get().max(Some(limit)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_that_of_the_longest_run() {
        let limit = RunLimit::default();
        assert_eq!(limit.get(), None);
        limit.note(Duration::from_millis(1));
        assert_eq!(limit.get(), Some(MIN));
        limit.note(Duration::from_secs(1));
        limit.note(Duration::from_millis(10));
        assert_eq!(limit.get(), Some(Duration::from_secs(20)));
    }
}
