//! Looks up names below the directory of a store, each name at most once.
//!
//! A symlink is followed only if its target lies inside of a directory that the operator named.
//! Each link and each directory is looked up once per walk. So all files of a load come from the
//! same directories, even if a link is swapped in between.

#[cfg(unix)]
mod follow;
#[cfg(unix)]
mod place;
#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod roots;
#[cfg(all(test, unix))]
mod tests;
#[cfg(unix)]
mod unix;

use std::io;

#[cfg(unix)]
pub(super) use self::place::Place;
#[cfg(not(unix))]
pub(super) use self::portable::{Place, Walk};
#[cfg(unix)]
pub(super) use self::unix::Walk;
use super::VerifyError;

/// The type of an entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Directory,
    Symlink,
    /// A pipe, a socket or a device.
    Other,
}

/// Why a name was not found or not opened.
#[derive(Debug)]
pub(super) enum WalkError {
    NotFound,
    NotDirectory,
    /// A symlink whose target must not be followed.
    LinkNotAllowed {
        link: String,
        target: String,
    },
    Io(io::Error),
}

impl EntryKind {
    /// The type in words.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::File => "a regular file",
            Self::Directory => "a directory",
            Self::Symlink => "a symlink",
            Self::Other => "a pipe, socket or device",
        }
    }
}

impl From<WalkError> for io::Error {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::NotFound => io::ErrorKind::NotFound.into(),
            WalkError::NotDirectory => io::ErrorKind::NotADirectory.into(),
            WalkError::LinkNotAllowed { link, target } => {
                Self::other(VerifyError::LinkNotAllowed { link, target })
            }
            WalkError::Io(error) => error,
        }
    }
}
