//! The one way in which file faults take something out of its place, and put it back.

use super::limit::lifted;
use super::repair::Repair;
use super::{FaultError, Undo, UndoOutcome};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Something that was moved out of its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Aside {
    /// Where it is.
    aside: PathBuf,
    /// Where it was.
    path: PathBuf,
    /// What stands there now.
    stand_in: StandIn,
}

/// What a fault puts where something was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StandIn {
    Nothing,
    /// An empty folder.
    Folder,
    /// A symbolic link to there.
    Link(PathBuf),
}

impl Aside {
    /// Moves what stands at `path` aside, rather than removing it: it comes back as it was, with owner, mode, times and links.
    pub(super) fn take(path: &Path, stand_in: StandIn, scratch: &Path) -> Result<Undo, FaultError> {
        let path = std::path::absolute(path).map_err(FaultError::file("find", path))?;
        let aside = fs::create_dir_all(scratch)
            .and_then(|()| {
                tempfile::Builder::new()
                    .prefix("aside-")
                    .tempdir_in(scratch)
            })
            .map_err(FaultError::file("make a folder in", scratch))?
            .keep()
            .join("entry");
        let is_kept = Repair::is_needed(&path, scratch);
        let this = Self {
            aside,
            path,
            stand_in,
        };
        if is_kept {
            Repair::Move(this.clone()).keep(scratch)?;
        }
        let (path, aside) = (&this.path, &this.aside);
        fs::rename(path, aside).map_err(FaultError::file("move aside", path))?;
        if let Err(error) = this.stand_in.put(path) {
            fs::rename(aside, path).map_err(FaultError::file("move back", path))?;
            return Err(FaultError::file("put something else in the place of", path)(error));
        }
        let scratch = scratch.to_owned();
        Ok(Undo::new(move || {
            let undone = lifted(|| this.put_back())?;
            if is_kept {
                Repair::forget(&scratch);
            }
            Ok(undone)
        }))
    }

    /// Puts it in its place again, if nothing else stands there than the fault has put.
    pub(super) fn put_back(&self) -> Result<UndoOutcome, FaultError> {
        let superseded = |found: &str| {
            Ok(UndoOutcome::Superseded {
                found: found.to_owned(),
            })
        };
        let path = &self.path;
        match self.stand_in.take_away(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return superseded("something new in its place");
            }
            Err(error) => return Err(FaultError::file("clear the place of", path)(error)),
        }
        match fs::rename(&self.aside, path) {
            Ok(()) => Ok(UndoOutcome::Restored),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                superseded("the folder that it stood in is gone")
            }
            Err(error) => Err(FaultError::file("move back", path)(error)),
        }
    }
}

impl StandIn {
    fn put(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Folder => fs::create_dir(path),
            #[cfg(unix)]
            Self::Link(to) => std::os::unix::fs::symlink(to, path),
            #[cfg(windows)]
            Self::Link(to) => std::os::windows::fs::symlink_file(to, path),
        }
    }

    /// Leaves nothing at the path if it is as this was put there. [`io::ErrorKind::AlreadyExists`] if not.
    fn take_away(&self, path: &Path) -> io::Result<()> {
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found?.file_type(),
        };
        match self {
            Self::Folder if found.is_dir() => match fs::remove_dir(path) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    Err(io::ErrorKind::AlreadyExists.into())
                }
                removed => removed,
            },
            Self::Link(to) if found.is_symlink() && fs::read_link(path)? == *to => {
                fs::remove_file(path)
            }
            _ => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }
}
