//! The states of a breaker.

use std::fmt;

/// The state of a circuit breaker.
// Exhaustive: no sixth state is planned, and callers should match each of these five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BreakerState {
    /// All calls pass, and their outcomes are counted.
    Closed,
    /// All calls are rejected until the open time is over.
    Open,
    /// A few calls pass as probes. Their outcomes close or open the breaker.
    HalfOpen,
    /// All calls are rejected until an operator releases the breaker.
    ForcedOpen,
    /// All calls pass and no outcome is counted, until an operator releases the breaker.
    Disabled,
}

impl BreakerState {
    /// All states, in the order of their declaration.
    pub const ALL: [Self; 5] = [
        Self::Closed,
        Self::Open,
        Self::HalfOpen,
        Self::ForcedOpen,
        Self::Disabled,
    ];

    /// The name of the state in snake case, for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
        }
    }

    /// Whether only an operator sets and ends this state.
    pub(crate) const fn is_forced(self) -> bool {
        matches!(self, Self::ForcedOpen | Self::Disabled)
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
