//! The states of a breaker.

use std::fmt;

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BreakerState {
    /// Calls pass; what comes of them is counted.
    Closed,
    /// Calls are rejected until the open time is over.
    Open,
    /// A few calls pass as probes, and decide.
    HalfOpen,
    /// Calls are rejected until an operator releases it.
    ForcedOpen,
    /// All calls pass and nothing is counted, until an operator releases it.
    Disabled,
}

impl BreakerState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Closed,
        Self::Open,
        Self::HalfOpen,
        Self::ForcedOpen,
        Self::Disabled,
    ];

    /// The word for it in metrics and logs, in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
        }
    }

    /// Whether an operator has put it there, and must take it back.
    pub(super) const fn is_forced(self) -> bool {
        matches!(self, Self::ForcedOpen | Self::Disabled)
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
