//! The state of a thread that was made to end.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A thread of a test that did not end in time, as it was found then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HungThread {
    /// The command line of its process; absent for the test's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// Its name; the system keeps 15 bytes of it.
    pub thread: String,
    /// Its state by the system: `running`, `sleeping`, `stopped`.
    pub state: String,
    /// The system call that it was in, with its target where that is known: `read of pipe:[4711]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_call: Option<String>,
    /// The kernel's function that it waited in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_channel: Option<String>,
}

impl HungThread {
    /// A thread of the test's own process, of which nothing else is known.
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
