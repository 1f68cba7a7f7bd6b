//! The injection of a fault: its scratch directory and its journal.

use super::FaultError;
use crate::journal::{UndoJournal, UndoStep};
use crate::os::resource_limit::with_limits_lifted;
use clarity_chaos_record::UndoOutcome;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The injection of a fault: a scratch directory, and the journal of the fault's undo steps.
///
/// Clones share one injection. A fault that does its damage later, on another thread, moves a clone
/// to that thread.
#[derive(Clone, Debug)]
pub struct Injection {
    scratch: PathBuf,
    journal: Arc<Mutex<UndoJournal>>,
}

impl Injection {
    /// Returns the injection of a fault. `fault` is the fault's kind and target.
    pub(super) fn new(scratch: PathBuf, fault: String) -> Self {
        Self {
            journal: Arc::new(Mutex::new(UndoJournal::new(scratch.clone(), fault))),
            scratch,
        }
    }

    /// Returns the directory for the files that the undo steps need. Creates the directory if it
    /// does not exist.
    ///
    /// The directory is outside of the test's directory, but on the same file system. It is removed
    /// with the files of the test.
    ///
    /// # Errors
    ///
    /// When the directory cannot be created.
    pub fn scratch(&self) -> Result<&Path, FaultError> {
        with_limits_lifted(|| fs::create_dir_all(&self.scratch))
            .map_err(FaultError::file("create", &self.scratch))?;
        Ok(&self.scratch)
    }

    /// Records a step that undoes a part of the damage. Call this method before the damage is done.
    /// If a test that runs outside of the sandbox is killed, the runner runs the recorded steps. If
    /// the runner is killed too, the test's supervisor or a later run does.
    ///
    /// # Errors
    ///
    /// When the step cannot be written to the journal. Also when a [removal](UndoStep::remove) is
    /// recorded, but its path already exists. Also when a [custom](UndoStep::custom) step has no
    /// registered [handler](crate::undo_handler). After an error, do no damage, and return the
    /// error.
    pub fn record(&self, step: UndoStep) -> Result<(), FaultError> {
        Ok(self.journal().record(step)?)
    }

    /// Sets a condition for the recorded steps that change the file at `path`. These steps are
    /// skipped if the code under test changes or replaces the file after this call. Call this
    /// method right after the damage is done.
    ///
    /// # Errors
    ///
    /// When the file's metadata cannot be read, or the journal cannot be written.
    pub fn expect_unchanged(&self, path: impl AsRef<Path>) -> Result<(), FaultError> {
        Ok(self.journal().expect_unchanged(path.as_ref())?)
    }

    /// Tells the journal that the fault has created the file, symlink or directory at `path`. A
    /// recorded [removal](UndoStep::remove) removes it. Call this method right after the creation.
    /// If the runner is killed and the user then creates another file at `path`, this file stays.
    ///
    /// # Errors
    ///
    /// When the file's metadata cannot be read, or the journal cannot be written.
    pub fn created(&self, path: impl AsRef<Path>) -> Result<(), FaultError> {
        Ok(self.journal().created(path.as_ref())?)
    }

    /// Runs the recorded steps, the latest first, up to the first failure.
    pub(super) fn undo(&self) -> UndoOutcome {
        self.journal().undo()
    }

    /// Whether the journal contains no steps.
    pub(super) fn is_empty(&self) -> bool {
        self.journal().is_empty()
    }

    fn journal(&self) -> MutexGuard<'_, UndoJournal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
