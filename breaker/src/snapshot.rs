//! The state and the counts of a breaker at one moment.

use std::time::Duration;

use super::counts::BreakerCounts;
use super::state::BreakerState;

/// The state and the counts of a breaker at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerSnapshot {
    /// The breaker's state. An open breaker whose open time is over becomes half-open at the next
    /// call.
    pub state: BreakerState,
    /// The number of changes of state and resets so far. An outcome counts only in the generation
    /// of its call's admission.
    pub generation: u64,
    /// The number of failures in a row, if the breaker is closed and counts them; otherwise 0.
    pub consecutive_failures: u32,
    /// The counts of the sliding window, if the breaker is closed and has a window.
    pub window: Option<BreakerCounts>,
    /// The rest of the open time, if the breaker is open.
    pub open_for: Option<Duration>,
    /// The number of probes under way, if the breaker is half-open; otherwise 0.
    pub probes: usize,
    /// The number of outcomes ignored because the generation of the call's admission was over.
    pub late_outcomes: u64,
    /// The number of calls rejected so far.
    pub rejected: u64,
}
