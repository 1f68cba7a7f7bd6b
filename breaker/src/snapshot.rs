//! A breaker at one moment.

use std::time::Duration;

use super::counts::BreakerCounts;
use super::state::BreakerState;

/// A breaker at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerSnapshot {
    /// The state. An open breaker whose open time is over becomes half-open with the next call.
    pub state: BreakerState,
    /// The number of changes of state and resets so far. An outcome counts only in the generation
    /// of its admission.
    pub generation: u64,
    /// The failures in a row, for a closed breaker that counts them; 0 otherwise.
    pub consecutive_failures: u32,
    /// The counts of the sliding window, for a closed breaker that has one.
    pub window: Option<BreakerCounts>,
    /// The rest of the open time, for an open breaker.
    pub open_for: Option<Duration>,
    /// The probes under way, for a half-open breaker; 0 otherwise.
    pub probes: usize,
    /// Outcomes that came in a later generation than their admission, and had no effect.
    pub late_outcomes: u64,
    /// Calls rejected so far.
    pub rejected: u64,
}
