//! How a test's process ended: what the supervisor tells the runner.

use clarity_chaos_record::{HungThread, Isolation};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a test's process ended, and what it left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ending {
    pub(crate) exit: Exit,
    /// Whether it was made to end; `exit` is then what that gave.
    pub(crate) cut: Option<Cut>,
    /// What its threads were at when they were asked to end.
    pub(crate) hung: Vec<HungThread>,
    /// How the process was made: a fork is not always possible.
    pub(crate) isolation: Isolation,
    /// From start to end, in real time.
    pub(crate) duration: Duration,
    /// What it used, as the system counted; with the children that it waited for.
    pub(crate) usage: Usage,
    /// The command lines of processes that were still alive after the test's own process had ended; they are no more.
    pub(crate) left_behind: Vec<String>,
    /// Files that it left in folders that are the slot's own; they are no more.
    pub(crate) left_files: Vec<String>,
    /// Whether this was the supervisor's last case: it could not end all that the test had started, and ends with it.
    pub(crate) retires: bool,
}

impl Ending {
    /// Of a process that ended by itself, using and leaving nothing.
    pub(crate) fn of(exit: Exit, isolation: Isolation, duration: Duration) -> Self {
        Self {
            exit,
            cut: None,
            hung: Vec::new(),
            isolation,
            duration,
            usage: Usage::default(),
            left_behind: Vec::new(),
            left_files: Vec::new(),
            retires: false,
        }
    }
}

/// Why a test was made to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cut {
    /// Its time was up.
    TimedOut,
    /// The run was interrupted.
    Interrupted,
}

/// What a process used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// CPU time, in microseconds.
    pub(crate) cpu_us: Option<u64>,
    /// Peak resident memory, in bytes.
    pub(crate) peak_memory_bytes: Option<u64>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

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
