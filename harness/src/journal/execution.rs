//! Runs undo steps.

use super::condition::{
    FileIdentity, NEW_IN_ITS_PLACE, metadata, mode_of, owner_of, symlink_metadata,
};
use super::damage::{self, DamagedRange};
use super::error::UndoError;
use super::step::{UndoAction, UndoStep};
use super::store::JournalFile;
use super::undone_by::UndoneBy;
use clarity_chaos_record::UndoOutcome;

/// Runs the steps of a fault, the latest first, up to the first failure. The failed step and the
/// steps recorded before it stay in the journal. So do superseded steps, if `by` keeps originals.
///
/// If `is_stored` is set, the journal's file always lists the steps that have not run yet.
// A failure ends the run: the steps that were recorded earlier can depend on the failed step.
pub(super) fn run(journal: &mut JournalFile, is_stored: bool, by: UndoneBy) -> UndoOutcome {
    let mut outcome = UndoOutcome::Restored;
    let run = run_steps(journal, is_stored, by, &mut outcome);
    let written = match (is_stored, journal.steps.is_empty()) {
        (false, _) => Ok(()),
        (true, true) => {
            journal.forget();
            Ok(())
        }
        (true, false) => journal.write(),
    };
    match run.and(written) {
        Ok(()) => outcome,
        Err(error) => UndoOutcome::Failed {
            error: error.to_string(),
        },
    }
}

fn run_steps(
    journal: &mut JournalFile,
    is_stored: bool,
    by: UndoneBy,
    outcome: &mut UndoOutcome,
) -> Result<(), UndoError> {
    // All conditions are checked before the first step runs: a step can change the state that
    // another step's condition describes.
    let mut checks: Vec<_> = journal.steps.iter().map(|step| step.check(by)).collect();
    if is_stored {
        begin(journal, &checks)?;
    }
    let mut kept = Vec::new();
    let run = loop {
        let (Some(step), Some(check)) = (journal.steps.pop(), checks.pop()) else {
            break Ok(());
        };
        let done = check.and_then(|check| match check {
            Check::Holds => step.run(),
            Check::IsRestored => Ok(UndoOutcome::Restored),
            Check::Violated { found } => Ok(UndoOutcome::Superseded { found }),
        });
        match done {
            Ok(UndoOutcome::Restored) => {}
            Ok(UndoOutcome::Failed { error }) => {
                journal.steps.push(step);
                *outcome = UndoOutcome::Failed { error };
                break Ok(());
            }
            Ok(other) => {
                if by.keeps_originals() && matches!(other, UndoOutcome::Superseded { .. }) {
                    kept.push(step);
                }
                // The first outcome other than `Restored` counts.
                if *outcome == UndoOutcome::Restored {
                    *outcome = other;
                }
            }
            Err(error) => {
                journal.steps.push(step);
                break Err(error);
            }
        }
        // The next step can be the opposite of this one. After a kill, this one must not run again.
        if is_stored && !journal.steps.is_empty() {
            let before = journal.steps.len();
            journal.steps.extend(kept.iter().rev().cloned());
            let written = journal.write();
            journal.steps.truncate(before);
            if let Err(error) = written {
                break Err(error);
            }
        }
    };
    journal.steps.extend(kept.into_iter().rev());
    run
}

/// Marks the steps that will overwrite bytes, and saves these bytes. If the process is killed
/// before the end of such a step, the next process can complete the step.
fn begin(journal: &mut JournalFile, checks: &[Result<Check, UndoError>]) -> Result<(), UndoError> {
    let mut is_changed = false;
    for (step, check) in journal.steps.iter_mut().zip(checks) {
        if step.begun || !matches!(check, Ok(Check::Holds)) {
            continue;
        }
        if let UndoAction::Restore { path, .. } = &step.action {
            step.file = metadata(path)?.as_ref().map(FileIdentity::from);
            damage::save(&mut step.action)?;
            step.begun = true;
            is_changed = true;
        }
    }
    match is_changed {
        true => journal.write(),
        false => Ok(()),
    }
}

/// The result of checking whether a step applies.
enum Check {
    Holds,
    /// The target already has its state from before the fault.
    IsRestored,
    Violated {
        found: String,
    },
}

impl UndoStep {
    /// Checks whether the step applies.
    fn check(&self, by: UndoneBy) -> Result<Check, UndoError> {
        if by.keeps_originals() && self.is_restored()? {
            return Ok(Check::IsRestored);
        }
        Ok(match self.violation(by)? {
            None => Check::Holds,
            Some(found) => Check::Violated { found },
        })
    }

    /// Whether the target of the step has its state from before the fault, and only its times may
    /// differ. Always false for steps that need no such check to run twice.
    fn is_restored(&self) -> Result<bool, UndoError> {
        match &self.action {
            UndoAction::Restore { path, .. } => {
                // The modification time of the damaged file itself is restored with its bytes.
                let is_other = match (&self.file, metadata(path)?) {
                    (Some(file), Some(now)) => !file.is_same_file(&FileIdentity::from(&now)),
                    _ => false,
                };
                match DamagedRange::of(&self.action) {
                    Some(range) if is_other => range.is_restored(),
                    _ => Ok(false),
                }
            }
            UndoAction::SetMode { path, mode } => Ok(mode_of(path)? == Some(*mode)),
            UndoAction::SetOwner { path, uid, gid } => Ok(owner_of(path)? == Some((*uid, *gid))),
            _ => Ok(false),
        }
    }

    /// Returns a description of the state in which the step must not run. Returns `None` if the
    /// step applies.
    fn violation(&self, by: UndoneBy) -> Result<Option<String>, UndoError> {
        if let Some(range) = DamagedRange::of(&self.action) {
            let is_damage_known = range.damage.is_some() && self.file.is_some();
            let condition = match &self.condition {
                // The step may have changed the file since the condition was checked.
                Some(condition) if !self.begun => condition.violation()?,
                _ => None,
            };
            return match condition {
                Some(found) => Ok(Some(found)),
                None if is_damage_known => range.foreign_bytes(self.file.as_ref()),
                None if by == UndoneBy::LaterRun && !range.is_restored()? => {
                    Ok(Some("content that may be newer than the damage".to_owned()))
                }
                None => Ok(None),
            };
        }
        if let Some(condition) = &self.condition
            && let Some(found) = condition.violation()?
        {
            return Ok(Some(found));
        }
        match by {
            UndoneBy::LaterRun => self.violation_of_identity(),
            _ => Ok(None),
        }
    }

    /// Returns a description of the file in the place of the file that the fault has changed or
    /// created. Returns `None` if it is the same file, or does not exist.
    fn violation_of_identity(&self) -> Result<Option<String>, UndoError> {
        let (now, is_required) = match &self.action {
            UndoAction::Remove { path } => (symlink_metadata(path)?, self.condition.is_none()),
            UndoAction::SetMode { path, .. }
            | UndoAction::SetOwner { path, .. }
            | UndoAction::SetTimes { path, .. } => (metadata(path)?, false),
            _ => return Ok(None),
        };
        let is_same = match (&self.file, &now) {
            (Some(file), Some(now)) => file.is_same_file(&FileIdentity::from(now)),
            (None, Some(_)) => !is_required,
            (_, None) => true,
        };
        Ok((!is_same).then(|| NEW_IN_ITS_PLACE.to_owned()))
    }
}
