//! The ways to isolate tests.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The way in which a test is isolated from the runner and from other tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Isolation {
    /// The test has its own process, forked from a waiting single-threaded process. Fast; Linux
    /// only.
    Fork,
    /// The test has its own process, which executes the test binary again. Works on every system.
    Exec,
    /// For debuggers: the test runs on a thread of the runner, one test at a time. The test has no
    /// timeout, no sandbox, no containment and no captured output.
    Thread,
}

impl Isolation {
    /// The fastest isolation that works on this system.
    pub const DEFAULT: Self = if cfg!(target_os = "linux") {
        Self::Fork
    } else {
        Self::Exec
    };

    /// Returns the isolation's name on the command line and in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Exec => "exec",
            Self::Thread => "thread",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
