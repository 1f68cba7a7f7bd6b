//! The state of a thread that did not end in time.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A thread of a test that timed out or was interrupted. The thread's state was read just before
/// the harness asked the test to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HungThread {
    /// The command line of the thread's process. Absent for a thread of the test's own process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// The thread's name. The system keeps only the first 15 bytes.
    pub thread: String,
    /// The thread's state according to the system, such as `running`, `sleeping` or `stopped`.
    pub state: String,
    /// The thread's current system call, with the call's target if known: `read of pipe:[4711]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_call: Option<String>,
    /// The kernel function in which the thread waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_channel: Option<String>,
}

impl HungThread {
    /// Describes a thread of the test's own process. The system call and the wait channel are
    /// absent.
    #[must_use]
    pub fn new(thread: impl Into<String>, state: impl Into<String>) -> Self {
        Self {
            process: None,
            thread: thread.into(),
            state: state.into(),
            system_call: None,
            wait_channel: None,
        }
    }
}

impl fmt::Display for HungThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread '{}'", self.thread)?;
        if let Some(process) = &self.process {
            write!(f, " of `{process}`")?;
        }
        write!(f, ": {}", self.state)?;
        if let Some(call) = &self.system_call {
            write!(f, " in {call}")?;
        }
        if let Some(channel) = &self.wait_channel {
            write!(f, " ({channel})")?;
        }
        Ok(())
    }
}
