//! The ways to isolate tests.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a test is isolated from the runner and from other tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Isolation {
    /// A process of its own, forked from a waiting single-threaded one: fast. Linux.
    Fork,
    /// A process of its own, the test binary started again: works everywhere.
    Exec,
    /// A thread of the runner, one test at a time, for debuggers: no timeout, no sandbox, no
    /// containment, no captured output.
    Thread,
}

impl Isolation {
    /// The fastest that works on this system.
    pub const DEFAULT: Self = if cfg!(target_os = "linux") {
        Self::Fork
    } else {
        Self::Exec
    };

    /// The name on the command line and in records.
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
