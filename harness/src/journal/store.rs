//! The journal of a fault as a file.

use super::error::UndoError;
use super::step::{SavedContent, UndoAction, UndoStep};
use crate::os::atomic_file::write_json_atomically;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The name of the file, in the scratch directory of the fault.
const FILE: &str = "journal.json";

/// The journal of one fault.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JournalFile {
    /// The kind and the target of the fault, for readers of a journal that was kept.
    pub(super) fault: String,
    /// The steps, in the order of their recording.
    pub(super) steps: Vec<UndoStep>,
}

impl JournalFile {
    /// Reads the journal in this scratch directory, if there is one.
    pub(super) fn read(scratch: &Path) -> Result<Option<Self>, UndoError> {
        let path = path(scratch);
        let json = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(UndoError::file("read", &path))?,
        };
        let journal = serde_json::from_slice(&json).map_err(io::Error::other);
        Ok(Some(journal.map_err(UndoError::file("read", &path))?))
    }

    /// Writes the journal into this scratch directory. Afterwards, saved bytes are in files there.
    pub(super) fn write(&mut self, scratch: &Path) -> Result<(), UndoError> {
        fs::create_dir_all(scratch).map_err(UndoError::file("create", scratch))?;
        for (number, step) in self.steps.iter_mut().enumerate() {
            if let UndoAction::Restore { content, .. } = &mut step.action
                && let SavedContent::Bytes(bytes) = content
            {
                let saved = scratch.join(format!("saved-{number}"));
                fs::write(&saved, bytes).map_err(UndoError::file("write", &saved))?;
                *content = SavedContent::File(saved);
            }
        }
        let path = path(scratch);
        write_json_atomically(&path, self).map_err(UndoError::file("write", &path))
    }
}

/// Removes the journal in this scratch directory: all of its steps have run.
pub(super) fn forget(scratch: &Path) {
    // Where it cannot be removed, the conditions of its steps do not hold any more.
    let _ = fs::remove_file(path(scratch));
}

/// The path of the journal in this scratch directory.
pub(super) fn path(scratch: &Path) -> PathBuf {
    scratch.join(FILE)
}
