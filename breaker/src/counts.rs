//! Counts of the calls in a sliding window.

use super::config::BreakerRate;
use super::verdict::Verdict;

/// The numbers of calls in a sliding window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerCounts {
    /// The number of all calls in the window.
    pub calls: u64,
    /// The number of failed calls.
    pub failures: u64,
    /// The number of slow calls, failed or not.
    pub slow: u64,
}

impl BreakerCounts {
    /// Whether these counts open a breaker with this `rate`.
    pub(crate) fn trip(&self, rate: &BreakerRate) -> bool {
        let reaches = |bad: u64, percent: u32| bad * 100 >= u64::from(percent) * self.calls;
        let slow = || {
            rate.slow_calls
                .as_ref()
                .is_some_and(|slow| reaches(self.slow, slow.percent))
        };
        self.calls >= u64::from(rate.minimum_calls)
            && (reaches(self.failures, rate.failure_percent) || slow())
    }

    /// Counts the failure and the slowness of a call that [`calls`](Self::calls) already includes.
    fn mark_bad(&mut self, verdict: Verdict) {
        self.failures += u64::from(verdict.failed);
        self.slow += u64::from(verdict.slow);
    }

    /// Reverts [`mark_bad`](Self::mark_bad).
    fn unmark_bad(&mut self, verdict: Verdict) {
        self.failures -= u64::from(verdict.failed);
        self.slow -= u64::from(verdict.slow);
    }
}

/// The counts of a window, and the suspected calls among the bad ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) counts: BreakerCounts,
    /// The failures and the slow calls of suspected calls; `calls` is unused.
    suspected: BreakerCounts,
}

impl Tally {
    /// The same calls, as if each suspected call had been good.
    pub(crate) fn pardoned(self) -> BreakerCounts {
        BreakerCounts {
            calls: self.counts.calls,
            failures: self.counts.failures - self.suspected.failures,
            slow: self.counts.slow - self.suspected.slow,
        }
    }

    /// Turns each suspected call into a good one.
    pub(crate) fn pardon(&mut self) {
        *self = Self {
            counts: self.pardoned(),
            suspected: BreakerCounts::default(),
        };
    }

    pub(crate) fn add(&mut self, verdict: Verdict) {
        self.counts.calls += 1;
        self.mark_bad(verdict);
    }

    /// Counts the badness of a call that [`calls`](BreakerCounts::calls) already includes.
    pub(crate) fn mark_bad(&mut self, verdict: Verdict) {
        self.counts.mark_bad(verdict);
        if verdict.suspected {
            self.suspected.mark_bad(verdict);
        }
    }

    /// Reverts [`mark_bad`](Self::mark_bad).
    pub(crate) fn unmark_bad(&mut self, verdict: Verdict) {
        self.counts.unmark_bad(verdict);
        if verdict.suspected {
            self.suspected.unmark_bad(verdict);
        }
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.counts += other.counts;
        self.suspected += other.suspected;
    }
}

impl std::ops::AddAssign for BreakerCounts {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.failures += other.failures;
        self.slow += other.slow;
    }
}
