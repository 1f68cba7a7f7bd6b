//! How a test's process ended: what the supervisor tells the runner.

use crate::isolation::Isolation;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a test's process ended, and what it left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ending {
    pub(crate) exit: Exit,
    /// Whether the limit was reached; `exit` is then what ending the process gave.
    pub(crate) timed_out: bool,
    /// How the process was made: a fork is not always possible.
    pub(crate) isolation: Isolation,
    /// From start to end, in real time.
    pub(crate) duration: Duration,
    /// The command lines of processes that were still alive after the test's own process had ended; they are no more.
    pub(crate) left_behind: Vec<String>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

#[cfg(not(target_os = "linux"))]
impl From<std::process::ExitStatus> for Exit {
    #[cfg(unix)]
    fn from(status: std::process::ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }

    #[cfg(not(unix))]
    fn from(status: std::process::ExitStatus) -> Self {
        Self::Code(status.code().unwrap_or(-1))
    }
}
