//! The errors of recording or running undo steps.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Why an undo step cannot be recorded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UndoError {
    /// The system refused an operation on a file.
    #[error("failed to {action} {}: {error}", path.display())]
    #[non_exhaustive]
    File {
        /// The operation: `read`, `write`, …
        action: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: io::Error,
    },
    /// This binary has no undo handler with this name.
    #[error(
        "this binary has no undo handler `{name}`: declare it with `clarity_chaos::undo_handler!`"
    )]
    #[non_exhaustive]
    NoHandler {
        /// The name of the handler.
        name: String,
    },
    /// Two or more undo handlers have this name.
    #[error("this binary has {count} undo handlers `{name}`: rename all but one")]
    #[non_exhaustive]
    AmbiguousHandler {
        /// The name that the handlers share.
        name: String,
        /// The number of handlers with this name, at least 2.
        count: usize,
    },
    /// The handler of a custom step failed.
    #[error("the undo handler `{name}` failed: {error}")]
    #[non_exhaustive]
    Handler {
        /// The name of the handler.
        name: String,
        /// The handler's error.
        #[source]
        error: Box<dyn Error + Send + Sync>,
    },
    /// The journal lies in another directory than the one in which it was written.
    #[error("{} was written in {}, so it is a copy or was moved", journal.display(), directory.display())]
    #[non_exhaustive]
    Moved {
        /// The path of the journal.
        journal: PathBuf,
        /// The directory in which the journal was written.
        directory: PathBuf,
    },
    /// The path that a step would remove already exists. A removal must be recorded before the
    /// fault creates the path.
    #[error("cannot record the removal of {}: it exists before the fault; record `rename` or `restore` instead", path.display())]
    #[non_exhaustive]
    Occupied {
        /// The path that already exists.
        path: PathBuf,
    },
    /// The payload of a custom step cannot be converted to JSON.
    #[error("the payload for the undo handler `{name}` is not representable as JSON: {error}")]
    #[non_exhaustive]
    Payload {
        /// The name of the handler.
        name: String,
        /// The error of the conversion.
        #[source]
        error: serde_json::Error,
    },
}

impl UndoError {
    /// Returns a closure for `map_err`. The closure converts the I/O error of `action` on `path`.
    pub(super) fn file<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |error| Self::File {
            action,
            path: path.to_owned(),
            error,
        }
    }
}
