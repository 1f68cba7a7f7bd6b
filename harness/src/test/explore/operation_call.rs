//! Describes the calls and the end of an explored operation, for errors.

use super::operation_process::OperationProcess;
use crate::syscalls::code_location::CodeLocation;
use std::fmt;
use std::path::PathBuf;

/// A system call of an explored operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationCall {
    /// The call's number, from 1. Only calls that concern the operation's directory are counted.
    pub number: usize,
    /// The number of calls that concern the operation's directory, in an undisturbed run.
    pub total: usize,
    /// The name of the system call, for example `rename`.
    pub name: &'static str,
    /// The path of the call's file, relative to the operation's directory. For a rename or link,
    /// the path of the source.
    pub path: PathBuf,
    /// The call with its arguments, for example `rename of draft to current`.
    pub description: String,
    /// The process that makes the call. None if the operation's own process makes all calls.
    pub process: Option<OperationProcess>,
    /// The innermost place in the code that leads to the call, if the program has symbols. Leaves
    /// out the standard library, the harness and wrappers of system calls.
    pub location: Option<CodeLocation>,
    /// Callers of `location`, from the inside out: the innermost one that is no dependency, and the
    /// innermost one in the test. Without repetitions.
    pub callers: Vec<CodeLocation>,
}

impl fmt::Display for OperationCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, total) = (self.number, self.total);
        write!(f, "call {number} of {total}, {}", self.description)?;
        if let Some(process) = &self.process {
            write!(f, " by {process}")?;
        }
        let Some(location) = &self.location else {
            return Ok(());
        };
        write!(f, " ({location}")?;
        for caller in &self.callers {
            write!(f, ", called from {caller}")?;
        }
        f.write_str(")")
    }
}

/// The way in which an explored operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationEnd {
    /// The operation returned success.
    Succeeded,
    /// The operation returned this error.
    Failed(String),
    /// The operation panicked with this message.
    Panicked(String),
    /// The operation's process ended before the operation returned. The text describes the end, for
    /// example `it was ended by signal 9`.
    Died(String),
}

impl fmt::Display for OperationEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => f.write_str("the operation returned success"),
            Self::Failed(error) => write!(f, "the operation returned: {error}"),
            Self::Panicked(message) => write!(f, "the operation panicked: {message}"),
            Self::Died(how) => write!(f, "the operation's process died: {how}"),
        }
    }
}
