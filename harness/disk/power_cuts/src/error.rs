//! The errors of the tool itself; a state outside of the models is none.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to start {command}: {source}")]
    Start { command: String, source: io::Error },
    #[error("{command} ended with {status}:\n{output}")]
    Failed {
        command: String,
        status: ExitStatus,
        output: String,
    },
    #[error("failed to {action} {}: {source}", path.display())]
    Path {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the file system has other files than the model after all calls of {0}")]
    Live(String),
    #[error("failed to make call {number}, {call}: {source}")]
    Call {
        number: usize,
        call: String,
        source: io::Error,
    },
    #[error("interrupted by a signal")]
    Interrupted,
}

impl Error {
    /// Returns a function that adds an action and a path to an error of the system.
    pub(crate) fn at<E: Into<io::Error>>(action: &'static str, path: &Path) -> impl Fn(E) -> Self {
        move |source| Self::Path {
            action,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}
