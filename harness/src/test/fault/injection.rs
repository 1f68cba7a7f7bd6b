//! The means of a fault that is being applied.

use super::FaultError;
use crate::journal::{UndoJournal, UndoStep};
use crate::os::resource_limit::with_limits_lifted;
use clarity_chaos_record::UndoOutcome;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The means of a fault that is being applied: a scratch directory, and the journal of its undo
/// steps.
///
/// Clones are the same injection. A fault that does its damage later, on a thread of its own, moves
/// a clone there.
#[derive(Clone, Debug)]
pub struct Injection {
    scratch: PathBuf,
    journal: Arc<Mutex<UndoJournal>>,
}

impl Injection {
    /// The injection of a fault. `fault` is its kind and its target.
    pub(super) fn new(scratch: PathBuf, fault: String) -> Self {
        Self {
            journal: Arc::new(Mutex::new(UndoJournal::new(scratch.clone(), fault))),
            scratch,
        }
    }

    /// A directory for all that undoing needs. The code under test does not see it, and it goes
    /// with the test.
    ///
    /// It is on the file system of the test's directory.
    ///
    /// # Errors
    ///
    /// When the directory cannot be created.
    pub fn scratch(&self) -> Result<&Path, FaultError> {
        with_limits_lifted(|| fs::create_dir_all(&self.scratch))
            .map_err(FaultError::file("create", &self.scratch))?;
        Ok(&self.scratch)
    }

    /// Records a step that undoes a part of the damage. Call this before the damage is done: from
    /// here on, the step also runs when the test is killed.
    ///
    /// # Errors
    ///
    /// When the step cannot be written, a [removal](UndoStep::remove) would remove something that
    /// exists, or no [handler](crate::undo_handler) for a [custom](UndoStep::custom) step is
    /// registered. Then return the error, and do no damage.
    pub fn record(&self, step: UndoStep) -> Result<(), FaultError> {
        Ok(self.journal().record(step)?)
    }

    /// Makes the steps on `path` that were recorded so far depend on the file as it is now: they
    /// are left out where the code under test writes to it later, or puts another file in its
    /// place. Call this after the damage.
    ///
    /// # Errors
    ///
    /// When the system does not describe the file.
    pub fn expect_unchanged(&self, path: impl AsRef<Path>) -> Result<(), FaultError> {
        Ok(self.journal().expect_unchanged(path.as_ref())?)
    }

    /// Runs the steps, the latest first.
    pub(super) fn undo(&self) -> UndoOutcome {
        self.journal().undo()
    }

    /// Whether no step is left to run.
    pub(super) fn is_empty(&self) -> bool {
        self.journal().is_empty()
    }

    fn journal(&self) -> MutexGuard<'_, UndoJournal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
