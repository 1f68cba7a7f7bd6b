//! The clocks that a test can run under.

use serde::{Deserialize, Serialize};

/// The clock that a test runs under: `#[chaos(clock = "…")]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClockKind {
    /// Real time.
    Real,
    /// Tokio's time: stands still while a task can run, and jumps to the next timer when none can.
    /// It also jumps while a task waits for a socket or another thread, so the code must have no
    /// peers outside the runtime.
    Paused,
    /// Tokio's time, standing still until `Clock::advance`. Sockets, files and blocking tasks are
    /// usable.
    Manual,
}

impl ClockKind {
    /// Worker threads of an async test under a real clock: enough for tasks to race, few enough to
    /// run many tests at once.
    pub const REAL_WORKERS: usize = 2;

    /// Whether time stands still while a task can run.
    #[must_use]
    pub fn is_virtual(self) -> bool {
        self != Self::Real
    }
}
