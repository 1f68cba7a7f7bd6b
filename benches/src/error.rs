//! Why nothing could be measured.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to start {command}: {source}")]
    Start { command: String, source: io::Error },
    #[error("{command} ended with {status}:\n{said}")]
    Failed {
        command: String,
        status: ExitStatus,
        said: String,
    },
    #[error("Cargo built no test target `{target}` of empty-{count}; see its messages above")]
    NotBuilt { target: &'static str, count: usize },
    #[error(
        "{form}: expected exit 0 and a summary of {count} passed tests, found {status} and:\n{said}"
    )]
    NotAllPassed {
        form: String,
        count: usize,
        status: ExitStatus,
        said: String,
    },
    #[error("failed to {what} {}: {source}", path.display())]
    File {
        what: &'static str,
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

    pub(crate) fn file(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File {
            what,
            path: path.to_owned(),
            source,
        }
    }
}
