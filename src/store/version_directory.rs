//! The directory of one version, from which all files of a load are opened.

use std::fs::File;
use std::io;
use std::path::Path;

use super::links::LinkRoots;
use super::regular_file::io_error;
use super::walk::{EntryKind, Place, Walk, WalkError};
use super::{Store, VerifyError};
use crate::{ModelName, Version};

/// The directory of one version. It is found once, and each symlink below it is read once.
// So the files of a load all come from the same directories, even if a symlink is swapped while
// they are read.
#[derive(Debug)]
pub(super) struct VersionDirectory {
    walk: Walk,
    place: Place,
}

/// Why a file was not opened.
#[derive(Debug)]
pub(super) enum OpenError {
    NotFound,
    Refused(VerifyError),
}

impl Store {
    /// Finds the directory of a version.
    pub(super) fn find_version(
        &self,
        model: &ModelName,
        version: Version,
    ) -> Result<VersionDirectory, VerifyError> {
        let shown = format!("{model}/{version}");
        let walk = Walk::new(&self.root, &self.links);
        let walk = walk.map_err(|error| missing_or(WalkError::from_io(error), &shown))?;
        let place = walk.directory(&[model.as_str(), &version.to_string()]);
        let place = place.map_err(|error| missing_or(error, &shown))?;
        Ok(VersionDirectory { walk, place })
    }
}

impl VersionDirectory {
    /// Finds the directory of a version that is not below a model.
    pub(super) fn at(directory: &Path) -> Result<Self, VerifyError> {
        let walk = Walk::new(directory, &LinkRoots::default());
        let walk = walk.map_err(|error| missing_or(WalkError::from_io(error), "."))?;
        let place = walk.directory(&[]);
        let place = place.map_err(|error| missing_or(error, "."))?;
        Ok(Self { walk, place })
    }

    /// Opens a regular file for reading; returns the file and its length in bytes. Never blocks on
    /// a pipe.
    pub(super) fn open(&self, name: &str) -> Result<(File, u64), OpenError> {
        let not_regular = |found: EntryKind| {
            OpenError::Refused(VerifyError::NotRegular {
                file: name.to_owned(),
                found: found.describe(),
            })
        };
        let file = match self.walk.open(&self.place, name) {
            Ok(file) => file,
            Err(WalkError::NotFound | WalkError::NotDirectory) => return Err(OpenError::NotFound),
            Err(WalkError::LinkNotAllowed { link, target }) => {
                return Err(OpenError::Refused(VerifyError::LinkNotAllowed {
                    link,
                    target,
                }));
            }
            // A socket cannot be opened. The returned error then states the type of the entry.
            Err(WalkError::Io(error)) => match self.walk.stat(&self.place, name.as_ref()) {
                Ok(found) if EntryKind::of(&found) != EntryKind::File => {
                    return Err(not_regular(EntryKind::of(&found)));
                }
                _ => return Err(OpenError::Refused(io_error(name, error))),
            },
        };
        let found = file.metadata();
        let found = found.map_err(|error| OpenError::Refused(io_error(name, error)))?;
        match found.file_type() {
            kind if kind.is_file() => Ok((file, found.len())),
            kind if kind.is_dir() => Err(not_regular(EntryKind::Directory)),
            _ => Err(not_regular(EntryKind::Other)),
        }
    }

    pub(super) fn walk(&self) -> &Walk {
        &self.walk
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether a symlink or a directory on the way to the files leads elsewhere by now.
    pub(super) fn has_changed(&self) -> bool {
        self.walk.has_changed()
    }
}

impl WalkError {
    fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::NotADirectory => Self::NotDirectory,
            _ => Self::Io(error),
        }
    }
}

/// The error of a version whose directory was not found.
fn missing_or(error: WalkError, shown: &str) -> VerifyError {
    match error {
        WalkError::NotFound | WalkError::NotDirectory => VerifyError::NoVersion,
        WalkError::LinkNotAllowed { link, target } => VerifyError::LinkNotAllowed { link, target },
        WalkError::Io(error) => io_error(shown, error),
    }
}
