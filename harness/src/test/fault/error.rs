//! The errors when a fault is injected or undone.

use crate::journal::UndoError;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// The error of an injection. Contains the kind and the target of the fault.
#[derive(Debug, thiserror::Error)]
#[error("failed to inject {kind} into {target}: {reason}")]
pub struct InjectError {
    pub(crate) kind: &'static str,
    pub(crate) target: String,
    #[source]
    pub(crate) reason: FaultError,
}

/// The reason why a fault cannot be drawn, applied or undone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// A file could not be read or changed.
    #[error("{action} {}: {error}", path.display())]
    #[non_exhaustive]
    File {
        /// The failed operation, such as `read` or `write`.
        action: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: io::Error,
    },
    /// An undo step could not be recorded or run.
    #[error(transparent)]
    Undo(#[from] UndoError),
    /// Any other error.
    #[error(transparent)]
    Other(Box<dyn Error + Send + Sync>),
    /// This system does not support the fault. A test that returns this error is skipped.
    #[error("skipped: {0}")]
    Unavailable(String),
    /// The target does not suit the fault.
    #[error("expected {expected}, found {found}")]
    #[non_exhaustive]
    Unfit {
        /// The state that the fault needs.
        expected: String,
        /// The state of the target.
        found: String,
    },
}

impl FaultError {
    /// Returns a closure for `map_err`. The closure converts the I/O error of a failed operation to
    /// [`File`](Self::File). `action` is the operation's verb, such as `read`; `path` is the
    /// operation's file.
    pub fn file<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |error| Self::File {
            action,
            path: path.to_owned(),
            error,
        }
    }

    /// Returns [`Unfit`](Self::Unfit): the fault needs the state `expected`, but the target has the
    /// state `found`.
    pub fn unfit(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Unfit {
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// Wraps any error in [`Other`](Self::Other).
    pub fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}

impl From<io::Error> for FaultError {
    fn from(error: io::Error) -> Self {
        Self::other(error)
    }
}
