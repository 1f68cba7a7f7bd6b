//! Errors of explorations.

use super::broken_invariant::BrokenInvariant;
use super::operation_call::{OperationCall, OperationEnd};
use crate::test::outcome::Skipped;
use std::fmt;
use std::io;

/// The reason why an exploration failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExploreError {
    /// The test's system calls cannot be intercepted in this environment. A test that returns this
    /// error is skipped.
    #[error(transparent)]
    Unavailable(Skipped),
    /// The exploration cannot follow the operation. An exploration of only the supported calls
    /// would prove nothing.
    #[error("not explorable: {0}")]
    NotExplorable(Box<UnsupportedOperation>),
    /// The set-up in [`Context::prepare`](crate::Context::prepare) returned an error, panicked, or
    /// died.
    #[error("the set-up failed: {0}")]
    SetUp(String),
    /// The operation fails even without an injected failure.
    #[error("without an injected failure, {0}")]
    Operation(OperationEnd),
    /// Later runs of the operation did not repeat a call of the first run.
    #[error("the operation makes other calls each time: {0}")]
    Diverged(Box<Divergence>),
    /// The invariant does not hold in a state that the exploration checked.
    #[error("{0}")]
    Broken(Box<BrokenInvariant>),
    /// The exploration itself failed.
    #[error("the exploration failed: {0}")]
    Io(#[from] io::Error),
}

/// An operation that an exploration cannot follow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnsupportedOperation {
    /// The reason why the exploration cannot follow the operation.
    pub reason: String,
    /// The unsupported call. None if the reason is not a single call.
    pub call: Option<OperationCall>,
}

impl fmt::Display for UnsupportedOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.call {
            Some(call) => write!(f, "{}: {call}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

/// A call of the first run of an operation that later runs did not repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Divergence {
    /// The call in the first run.
    pub call: OperationCall,
    /// The number of later runs without the call.
    pub runs: usize,
    /// The number of calls that the last run made in the operation's directory.
    pub last_calls: usize,
    /// The first call of the last run that the first run did not make.
    pub found: Option<String>,
    /// Whether later runs made an equal call, but after other calls. Then it can come from another
    /// place in the code.
    pub came_another_way: bool,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} did not come again in {} runs; \
             the last one made {} calls in the directory, the first one {}",
            self.call.description, self.runs, self.last_calls, self.call.total
        )?;
        if self.came_another_way {
            f.write_str(
                "; equal calls of these runs came after other calls than in the first one",
            )?;
        }
        if let Some(found) = &self.found {
            write!(f, "; the last one made this instead: {found}")?;
        }
        f.write_str(
            "; make the operation repeatable: fix its clock, its random numbers and the order of \
             its maps, and restore the state that it keeps outside of the directory",
        )
    }
}
