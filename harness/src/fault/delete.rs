//! A file that is gone.

use super::repair::Repair;
use super::{Fault, FaultError, Undo, Undone};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Takes a file or a folder, with all it holds, out of its place.
#[derive(Clone, Debug)]
pub struct Delete {
    path: PathBuf,
}

/// Nothing is drawn: a file is there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {}

impl Delete {
    /// Deletes what stands at `path`. It must be on the same file system as the test's directory.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Fault for Delete {
    type Plan = Gone;
    const KIND: &'static str = "delete";

    fn sentence(_plan: &Gone, target: &str) -> String {
        format!("{target} deleted")
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<Gone, FaultError> {
        fs::symlink_metadata(&self.path).map_err(FaultError::file("look at", &self.path))?;
        Ok(Gone {})
    }

    fn apply(&self, _plan: &Gone, scratch: &Path) -> Result<Undo, FaultError> {
        // Moved aside rather than unlinked: it comes back as it was, with owner, mode, times and links.
        let aside = fs::create_dir_all(scratch)
            .and_then(|()| {
                tempfile::Builder::new()
                    .prefix("deleted-")
                    .tempdir_in(scratch)
            })
            .map_err(FaultError::file("make a folder in", scratch))?
            .keep()
            .join("entry");
        let path = std::path::absolute(&self.path).map_err(FaultError::file("find", &self.path))?;
        let is_kept = Repair::is_needed(&path, scratch);
        if is_kept {
            let (aside, path) = (aside.clone(), path.clone());
            Repair::Move { aside, path }.keep(scratch)?;
        }
        fs::rename(&path, &aside).map_err(FaultError::file("move aside", &path))?;
        let scratch = scratch.to_owned();
        Ok(Undo::new(move || {
            let undone = move_back(&aside, &path)?;
            if is_kept {
                Repair::forget(&scratch);
            }
            Ok(undone)
        }))
    }
}

/// Puts what was moved aside in its place again, if nothing else stands there.
pub(super) fn move_back(aside: &Path, path: &Path) -> Result<Undone, FaultError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(Undone::Superseded {
            found: "a new file in its place".to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::rename(aside, path) {
            Ok(()) => Ok(Undone::Restored),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Undone::Superseded {
                found: "the folder that it stood in is gone".to_owned(),
            }),
            Err(error) => Err(FaultError::file("move back", path)(error)),
        },
        Err(error) => Err(FaultError::file("look at", path)(error)),
    }
}
