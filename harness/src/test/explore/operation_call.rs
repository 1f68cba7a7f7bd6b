//! A call of an explored operation, and the end of the operation, as errors name them.

use crate::syscalls::code_location::CodeLocation;
use std::fmt;
use std::path::PathBuf;

/// A system call of an explored operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationCall {
    /// Its number among the operation's calls in its directory, from 1.
    pub number: usize,
    /// The number of these calls in an undisturbed run.
    pub total: usize,
    /// The name of the system call: `rename`.
    pub name: &'static str,
    /// Its file, relative to the operation's directory; of a rename or link, the source.
    pub path: PathBuf,
    /// The whole call: `rename of draft to current`.
    pub description: String,
    /// The place in the code that makes it, if the program has symbols.
    pub location: Option<CodeLocation>,
}

impl fmt::Display for OperationCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, total) = (self.number, self.total);
        write!(f, "call {number} of {total}, {}", self.description)?;
        match &self.location {
            Some(location) => write!(f, " ({location})"),
            None => Ok(()),
        }
    }
}

/// The end of an explored operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationEnd {
    /// It returned success.
    Succeeded,
    /// It returned this error.
    Failed(String),
    /// It panicked with this message.
    Panicked(String),
    /// Its process ended before it returned: `it was ended by signal 9`.
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
