//! The rejection of a call.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::state::BreakerState;

/// The error of a call that the breaker did not admit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// The state of the breaker at the rejection.
    pub state: BreakerState,
    /// The time to wait before the next try.
    ///
    /// - Open: the rest of the open time.
    /// - Half-open: zero, since a probe can end at any moment.
    /// - Forced open: the configured first open time, since only an operator ends this state.
    pub retry_after: Duration,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, retry_after } = self;
        write!(
            f,
            "the circuit breaker is {state}: retry after {retry_after:?}"
        )
    }
}

impl Error for Rejected {}
