//! The exit status of a process, as a supervisor sends it to the runner.

use serde::{Deserialize, Serialize};

/// The exit status of a process. Unlike [`std::process::ExitStatus`], it can be serialized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ExitStatus {
    Code(i32),
    Signal(i32),
}

impl From<std::process::ExitStatus> for ExitStatus {
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
