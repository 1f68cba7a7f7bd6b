//! That a call was not admitted.

use std::time::Duration;

use super::state::BreakerState;

/// A call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// In which state the breaker was.
    pub(crate) state: BreakerState,
    /// What is left of the open time; zero when half-open with all places taken, which may end at any moment; the least
    /// open time when forced open, which ends when somebody says so.
    pub(crate) retry_after: Duration,
}

impl Rejected {
    /// Why, for who is turned away.
    pub(crate) fn as_str(self) -> &'static str {
        match self.state {
            BreakerState::ForcedOpen => {
                "an operator has opened the circuit breaker of the model; it lets no request through until it is released"
            }
            BreakerState::HalfOpen => {
                "the model has failed too often; its circuit breaker waits for the outcome of the requests that it let through"
            }
            _ => {
                "the model has failed too often; its circuit breaker lets no request through for now"
            }
        }
    }
}
