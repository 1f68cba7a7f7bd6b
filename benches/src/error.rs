//! The errors of the measurements.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

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
    #[error("Cargo built no test target `{target}` of empty-{count}; see its messages above")]
    NotBuilt { target: &'static str, count: usize },
    #[error(
        "{form}: expected exit 0 and a summary of {count} passed tests, found {status} and:\n{output}"
    )]
    NotAllPassed {
        form: String,
        count: usize,
        status: ExitStatus,
        output: String,
    },
    #[error("failed to {action} {}: {source}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("failed to measure the part {part}: {source}")]
    Part {
        part: &'static str,
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn start(command: &str, source: io::Error) -> Self {
        Self::Start {
            command: command.to_owned(),
            source,
        }
    }

    pub(crate) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
