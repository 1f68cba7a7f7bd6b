//! A breaker as it is at one moment.

use std::time::Duration;

use super::config::BreakerRate;
use super::state::BreakerState;
use super::verdict::Verdict;

/// A breaker as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerSnapshot {
    /// Its state. An open breaker whose time is over becomes half-open with the next call, and not before.
    pub state: BreakerState,
    /// How many times it has changed, resets included. An outcome counts only in the generation of its admission.
    pub generation: u64,
    /// The failures in a row while closed, where those are what opens it; 0 otherwise.
    pub consecutive_failures: u32,
    /// What is in the sliding window while closed, where there is one.
    pub window: Option<BreakerCounts>,
    /// What is left of the open time; none unless open.
    pub open_for: Option<Duration>,
    /// The probes under way while half-open; 0 otherwise.
    pub probes: usize,
    /// Outcomes that arrived in a later generation than that of their admission, and changed nothing.
    pub late_outcomes: u64,
    /// Calls rejected so far.
    pub rejected: u64,
}

/// The calls in a sliding window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BreakerCounts {
    /// All of them.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that were slow, failed or not.
    pub slow: u64,
}

impl BreakerCounts {
    /// Whether they are more than `rate` bears.
    pub(super) fn trip(&self, rate: &BreakerRate) -> bool {
        let reaches = |bad: u64, percent: u32| bad * 100 >= u64::from(percent) * self.calls;
        let slow = || {
            rate.slow_calls
                .as_ref()
                .is_some_and(|slow| reaches(self.slow, slow.percent))
        };
        self.calls >= u64::from(rate.minimum_calls)
            && (reaches(self.failures, rate.failure_percent) || slow())
    }

    pub(super) fn add(&mut self, verdict: Verdict) {
        self.calls += 1;
        self.count(verdict);
    }

    /// The bad in `verdict`, of a call that is among the calls already.
    pub(super) fn count(&mut self, verdict: Verdict) {
        self.failures += u64::from(verdict.failed);
        self.slow += u64::from(verdict.slow);
    }

    pub(super) fn uncount(&mut self, verdict: Verdict) {
        self.failures -= u64::from(verdict.failed);
        self.slow -= u64::from(verdict.slow);
    }
}

impl std::ops::AddAssign for BreakerCounts {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.failures += other.failures;
        self.slow += other.slow;
    }
}
