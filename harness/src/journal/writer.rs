//! Records the undo steps of a fault during the injection.

use super::condition::{FileIdentity, UndoCondition, metadata, symlink_metadata};
use super::damage;
use super::error::UndoError;
use super::execution;
use super::handler::UndoHandler;
use super::step::{UndoAction, UndoStep};
use super::store::JournalFile;
use super::undone_by::UndoneBy;
use crate::os::resource_limit::with_limits_lifted;
use clarity_chaos_record::UndoOutcome;
use std::fs;
use std::path::{Path, PathBuf};

/// The journal of one fault, in memory. If a recorded step undoes damage that would outlive a
/// killed test, the journal is also written to a file.
#[derive(Debug)]
pub(crate) struct UndoJournal {
    scratch: PathBuf,
    content: JournalFile,
    is_written: bool,
}

impl UndoJournal {
    /// Returns an empty journal. `scratch` is this fault's directory: `undo/NUMBER` in the
    /// directory of the case.
    pub(crate) fn new(scratch: PathBuf, fault: String) -> Self {
        Self {
            content: JournalFile {
                directory: scratch.clone(),
                fault,
                steps: Vec::new(),
            },
            scratch,
            is_written: false,
        }
    }

    /// Records a step. Also writes the journal to its file if any recorded step undoes damage that
    /// would outlive a killed test. The runner can then run the steps.
    pub(crate) fn record(&mut self, mut step: UndoStep) -> Result<(), UndoError> {
        with_limits_lifted(|| {
            step.make_absolute()?;
            match &step.action {
                UndoAction::Remove { path } if symlink_metadata(path)?.is_some() => {
                    return Err(UndoError::Occupied { path: path.clone() });
                }
                // A missing handler must be reported before the fault damages anything.
                UndoAction::Custom { name, .. } => {
                    UndoHandler::find(name)?;
                }
                _ => {}
            }
            self.is_written |= outlives_test(&step, &self.scratch);
            if let UndoAction::Restore { damage, .. } = &mut step.action
                && !self.is_written
            {
                // Only the journal's file needs these bytes.
                *damage = None;
            }
            if self.is_written {
                identify(&mut step)?;
            }
            self.content.steps.push(step);
            self.write()
        })
    }

    /// Sets the condition of all recorded steps that change `path`. These steps then apply only if
    /// the file at `path` has not changed since this call.
    pub(crate) fn expect_unchanged(&mut self, path: &Path) -> Result<(), UndoError> {
        with_limits_lifted(|| {
            let path = std::path::absolute(path).map_err(UndoError::file("find", path))?;
            let condition = UndoCondition::unchanged(&path)?;
            for step in &mut self.content.steps {
                if step.path() != Some(&path) {
                    continue;
                }
                step.condition = Some(condition.clone());
                if self.is_written {
                    identify(step)?;
                    damage::save(&mut step.action)?;
                }
            }
            self.write()
        })
    }

    /// Tells the journal that the fault has created the file that a recorded step removes at
    /// `path`. A later run then removes no other file.
    pub(crate) fn created(&mut self, path: &Path) -> Result<(), UndoError> {
        with_limits_lifted(|| {
            let path = std::path::absolute(path).map_err(UndoError::file("find", path))?;
            let file = symlink_metadata(&path)?.as_ref().map(FileIdentity::from);
            for step in &mut self.content.steps {
                if matches!(&step.action, UndoAction::Remove { path: of } if *of == path) {
                    step.file.clone_from(&file);
                }
            }
            self.write()
        })
    }

    /// Runs the steps, the latest first, up to the first failure. The failed step and the steps
    /// recorded before it stay in the journal.
    pub(crate) fn undo(&mut self) -> UndoOutcome {
        with_limits_lifted(|| execution::run(&mut self.content, self.is_written, UndoneBy::Test))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.content.steps.is_empty()
    }

    fn write(&mut self) -> Result<(), UndoError> {
        match self.is_written {
            true => self.content.write(),
            false => Ok(()),
        }
    }
}

/// Records the file that the step changes, if the file exists.
fn identify(step: &mut UndoStep) -> Result<(), UndoError> {
    step.file = match &step.action {
        UndoAction::Restore { path, .. }
        | UndoAction::SetMode { path, .. }
        | UndoAction::SetOwner { path, .. }
        | UndoAction::SetTimes { path, .. } => metadata(path)?.as_ref().map(FileIdentity::from),
        UndoAction::Remove { .. } | UndoAction::Rename { .. } | UndoAction::Custom { .. } => None,
    };
    Ok(())
}

/// Whether the damage that the step undoes can outlive a killed test. Damage in the directory of
/// the case cannot outlive the test, because that directory is removed. Always true for a custom
/// step.
fn outlives_test(step: &UndoStep, scratch: &Path) -> bool {
    let (Some(path), Some(case)) = (step.path(), scratch.parent().and_then(Path::parent)) else {
        return true;
    };
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let path = match step.action {
        // These steps change the path itself: a symlink at the path is not followed.
        UndoAction::Remove { .. } | UndoAction::Rename { .. } => {
            match (path.parent(), path.file_name()) {
                (Some(parent), Some(name)) => real(parent).join(name),
                _ => path.to_owned(),
            }
        }
        _ => real(path),
    };
    !path.starts_with(real(case))
}
