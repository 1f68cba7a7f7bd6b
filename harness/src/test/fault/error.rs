//! The reasons why a fault cannot be injected or undone.

use crate::journal::UndoError;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Why a fault could not be injected.
#[derive(Debug, thiserror::Error)]
#[error("failed to inject {kind} into {target}: {reason}")]
pub struct InjectError {
    pub(crate) kind: &'static str,
    pub(crate) target: String,
    #[source]
    pub(crate) reason: FaultError,
}

/// Why a fault cannot be drawn, applied or undone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// A file could not be read or changed.
    #[error("{action} {}: {error}", path.display())]
    #[non_exhaustive]
    File {
        /// The operation: `read`, `write`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        error: io::Error,
    },
    /// An undo step could not be recorded or run.
    #[error(transparent)]
    Undo(#[from] UndoError),
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn Error + Send + Sync>),
    /// This system has no such fault. A test that returns this error is skipped.
    #[error("skipped: {0}")]
    Unavailable(String),
    /// The target cannot bear the fault.
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
    /// For `map_err`: the operation `action`, such as `read`, failed on `path`.
    pub fn file<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |error| Self::File {
            action,
            path: path.to_owned(),
            error,
        }
    }

    /// The target cannot bear the fault, which needs `expected`.
    pub fn unfit(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Unfit {
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// Any other error.
    pub fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}

impl From<io::Error> for FaultError {
    fn from(error: io::Error) -> Self {
        Self::other(error)
    }
}
