//! Stores the journal of a fault in a file.

use super::error::UndoError;
use super::step::{SavedContent, UndoAction, UndoStep};
use crate::os::atomic_file::write_json_atomically;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The name of the journal's file in the fault's scratch directory.
const FILE: &str = "journal.json";

/// The journal of one fault.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JournalFile {
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
        Ok(Some(journal.map_err(UndoError::file("read", &path))?))
    }

    /// Writes the journal into this scratch directory, and moves saved bytes into files of that
    /// directory.
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

/// Removes the journal in this scratch directory, after all its steps have run.
pub(super) fn forget(scratch: &Path) {
    // A failed removal is ignored. The runner may then run the steps again, but skips each step
    // whose condition no longer holds.
    let _ = fs::remove_file(path(scratch));
}

/// The path of the journal in this scratch directory.
pub(super) fn path(scratch: &Path) -> PathBuf {
    scratch.join(FILE)
}
