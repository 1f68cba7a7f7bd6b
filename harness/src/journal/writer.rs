//! Recording the steps of a fault while it is injected.

use super::condition::{UndoCondition, symlink_metadata};
use super::error::UndoError;
use super::execution;
use super::handler::UndoHandler;
use super::step::{UndoAction, UndoStep};
use super::store::{self, JournalFile};
use crate::os::resource_limit::with_limits_lifted;
use clarity_chaos_record::UndoOutcome;
use std::fs;
use std::path::{Path, PathBuf};

/// The journal of one fault, in memory; and in a file as soon as it has a step whose damage
/// outlives a killed test.
#[derive(Debug)]
pub(crate) struct UndoJournal {
    scratch: PathBuf,
    content: JournalFile,
    is_written: bool,
}

impl UndoJournal {
    /// An empty journal. `scratch` is the directory of this fault, in that of all faults of the
    /// case, in the case's.
    pub(crate) fn new(scratch: PathBuf, fault: String) -> Self {
        Self {
            scratch,
            content: JournalFile {
                fault,
                steps: Vec::new(),
            },
            is_written: false,
        }
    }

    /// Records a step. When this returns, the runner can run it.
    pub(crate) fn record(&mut self, mut step: UndoStep) -> Result<(), UndoError> {
        with_limits_lifted(|| {
            step.make_absolute()?;
            match &step.action {
                UndoAction::Remove { path } if symlink_metadata(path)?.is_some() => {
                    return Err(UndoError::Occupied { path: path.clone() });
                }
                // Found now, while nothing is damaged.
                UndoAction::Custom { name, .. } => {
                    UndoHandler::find(name)?;
                }
                _ => {}
            }
            self.is_written |= outlives_test(&step, &self.scratch);
            self.content.steps.push(step);
            self.write()
        })
    }

    /// Makes the steps on `path` depend on the file as it is now.
    pub(crate) fn expect_unchanged(&mut self, path: &Path) -> Result<(), UndoError> {
        with_limits_lifted(|| {
            let path = std::path::absolute(path).map_err(UndoError::file("find", path))?;
            let condition = UndoCondition::unchanged(&path)?;
            for step in &mut self.content.steps {
                if step.path() == Some(&path) {
                    step.condition = Some(condition.clone());
                }
            }
            self.write()
        })
    }

    /// Runs all steps, the latest first. A step that fails stays in the journal, and so do all
    /// before it.
    pub(crate) fn undo(&mut self) -> UndoOutcome {
        with_limits_lifted(|| {
            let execution = execution::run(std::mem::take(&mut self.content.steps));
            self.content.steps = execution.remaining;
            if self.content.steps.is_empty() && self.is_written {
                store::forget(&self.scratch);
            }
            execution.outcome
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.content.steps.is_empty()
    }

    fn write(&mut self) -> Result<(), UndoError> {
        match self.is_written {
            true => self.content.write(&self.scratch),
            false => Ok(()),
        }
    }
}

/// Whether the damage that the step undoes outlives the case: it is outside of the case's
/// directory, which is removed.
fn outlives_test(step: &UndoStep, scratch: &Path) -> bool {
    let (Some(path), Some(case)) = (step.path(), scratch.parent().and_then(Path::parent)) else {
        return true;
    };
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let path = match step.action {
        // The path itself is moved or made, and not a file that it leads to.
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
