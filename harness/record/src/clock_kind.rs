//! The kinds of clock that a test can run under.

use serde::{Deserialize, Serialize};

/// The clock that a test runs under: `#[chaos(clock = "…")]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClockKind {
    /// Real time.
    Real,
    /// Tokio's virtual time. The time stands still while a task can run, and jumps to the next
    /// timer when no task can run. The time also jumps while a task waits for a socket or for
    /// another thread. Code that waits for sockets or other threads therefore needs another clock.
    /// If a socket of the runtime has unread bytes during a jump, the test fails.
    Paused,
    /// Tokio's virtual time, which moves only when the test calls `Clock::advance`. Sockets, files
    /// and blocking tasks are usable.
    Manual,
}

impl ClockKind {
    /// The number of worker threads of an async test under a real clock.
    // Two workers are enough for tasks to race, and few enough for many tests to run at once.
    pub const REAL_WORKERS: usize = 2;

    /// Whether the clock is virtual: its time stands still while a task can run.
    #[must_use]
    pub fn is_virtual(self) -> bool {
        self != Self::Real
    }
}
