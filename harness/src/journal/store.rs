//! Stores the journal of a fault in a file.

use super::error::UndoError;
use super::step::{SavedContent, UndoAction, UndoStep};
use crate::os::atomic_file::write_json_atomically;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The name of the journal's file in the fault's scratch directory.
const FILE: &str = "journal.json";

/// The journal of one fault.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct JournalFile {
    /// The scratch directory of the fault. A journal in another directory is a copy, or was moved:
    /// its steps must not run.
    #[serde(default)]
    pub(super) directory: PathBuf,
    /// The kind and the target of the fault, to identify the fault in a kept journal.
    pub(super) fault: String,
    /// The steps, in the order of their recording.
    pub(super) steps: Vec<UndoStep>,
}

impl JournalFile {
    /// Reads the journal in this scratch directory. Returns `None` if the directory has no journal.
    pub(super) fn read(scratch: &Path) -> Result<Option<Self>, UndoError> {
        let path = path(scratch);
        let json = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(UndoError::file("read", &path))?,
        };
        let journal = serde_json::from_slice(&json).map_err(io::Error::other);
        let journal: Self = journal.map_err(UndoError::file("read", &path))?;
        match journal.directory == scratch {
            true => Ok(Some(journal)),
            false => Err(UndoError::Moved {
                journal: path,
                directory: journal.directory,
            }),
        }
    }

    /// Writes the journal into its scratch directory, and moves saved bytes into files of that
    /// directory.
    // A process can be killed between any two of these calls. The old journal is valid until the
    // new one replaces it: no file that the old journal names is overwritten.
    pub(super) fn write(&mut self) -> Result<(), UndoError> {
        let scratch = &self.directory;
        fs::create_dir_all(scratch).map_err(UndoError::file("create", scratch))?;
        for step in &mut self.steps {
            if let UndoAction::Restore {
                content, damage, ..
            } = &mut step.action
            {
                let damage = damage.iter_mut().map(|damage| (damage, "damage-"));
                for (content, prefix) in [(content, "saved-")].into_iter().chain(damage) {
                    if let SavedContent::Bytes(bytes) = content {
                        *content = SavedContent::File(save(bytes, scratch, prefix)?);
                    }
                }
            }
        }
        let path = path(scratch);
        write_json_atomically(&path, self).map_err(UndoError::file("write", &path))
    }

    /// Removes the journal's file, after all its steps have run.
    pub(super) fn forget(&self) {
        // A failed removal is ignored. The steps may then run again, but each step recognises that
        // it has run before.
        let _ = fs::remove_file(path(&self.directory));
    }
}

/// Writes bytes to a new file in the scratch directory. Returns the path of the file, whose name
/// begins with `prefix`.
fn save(bytes: &[u8], scratch: &Path, prefix: &str) -> Result<PathBuf, UndoError> {
    let saved = || {
        let mut file = tempfile::Builder::new()
            .prefix(prefix)
            .tempfile_in(scratch)?;
        file.write_all(bytes)?;
        let (_file, path) = file.keep()?;
        Ok(path)
    };
    saved().map_err(UndoError::file("save bytes in", scratch))
}

/// The path of the journal in this scratch directory.
pub(super) fn path(scratch: &Path) -> PathBuf {
    scratch.join(FILE)
}
