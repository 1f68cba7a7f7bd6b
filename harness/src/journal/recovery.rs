//! Undoes the faults of a test whose process has ended.

use super::execution;
use super::store::{self, JournalFile};
use super::undone_by::UndoneBy;
use clarity_chaos_record::UndoOutcome;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The result of undoing the faults that a test left in effect.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    /// The undo outcome of each fault, with the fault's number in the plan. The latest fault is
    /// first.
    pub(crate) outcomes: Vec<(usize, UndoOutcome)>,
    /// The kind and target of each fault that was undone.
    pub(crate) undone: Vec<String>,
    /// A line for each kept journal. A journal is kept if its fault could not be undone.
    pub(crate) kept: Vec<String>,
    /// A line for each event of a killed run's set-up.
    pub(crate) setups: Vec<String>,
}

impl Recovery {
    /// Adds the undone and kept faults of another recovery.
    pub(crate) fn add(&mut self, other: Self) {
        self.outcomes.extend(other.outcomes);
        self.undone.extend(other.undone);
        self.kept.extend(other.kept);
        self.setups.extend(other.setups);
    }
}

/// Undoes the faults whose directories are in `of_all_faults`, the latest first. Ignores
/// directories without a journal.
///
/// The journals are trusted. Call this function only for tests outside of the sandbox, and only
/// after the test's process has ended.
pub(crate) fn recover(of_all_faults: &Path, by: UndoneBy) -> Recovery {
    let mut recovery = Recovery::default();
    for number in faults_in(of_all_faults) {
        let scratch = of_all_faults.join(number.to_string());
        let (fault, outcome) = match JournalFile::read(&scratch) {
            Ok(None) => continue,
            Ok(Some(mut journal)) => {
                let outcome = execution::run(&mut journal, true, by);
                (journal.fault, outcome)
            }
            Err(error) => (
                format!("fault {number}"),
                UndoOutcome::Failed {
                    error: error.to_string(),
                },
            ),
        };
        let reason = match &outcome {
            UndoOutcome::Failed { error } => Some(error.clone()),
            UndoOutcome::Superseded { found } if by.keeps_originals() => {
                Some(format!("found {found}"))
            }
            _ => None,
        };
        match reason {
            Some(reason) => {
                let journal = store::path(&scratch);
                let journal = journal.display();
                recovery.kept.push(format!(
                    "{fault} is not undone: {reason}; its journal is kept in {journal}"
                ));
            }
            None => recovery.undone.push(fault),
        }
        recovery.outcomes.push((number, outcome));
    }
    recovery
}

/// Whether a fault whose directory is in `of_all_faults` has a journal, and so is not undone.
pub(crate) fn has_journal(of_all_faults: &Path) -> bool {
    let mut numbers = faults_in(of_all_faults).into_iter();
    numbers.any(|number| {
        let journal = store::path(&of_all_faults.join(number.to_string()));
        // A journal that cannot be looked at counts.
        !matches!(fs::symlink_metadata(journal), Err(error) if error.kind() == ErrorKind::NotFound)
    })
}

/// The numbers of the faults whose directories are in `of_all_faults`, the latest first.
fn faults_in(of_all_faults: &Path) -> Vec<usize> {
    let entries = fs::read_dir(of_all_faults).into_iter().flatten().flatten();
    let mut numbers: Vec<usize> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers
}

#[cfg(test)]
mod tests;
