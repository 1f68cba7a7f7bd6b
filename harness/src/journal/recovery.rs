//! Undoes the faults of a test whose process has ended.

use super::execution::{self, Execution};
use super::store::{self, JournalFile};
use clarity_chaos_record::UndoOutcome;
use std::fs;
use std::path::Path;

/// The result of undoing the faults that a test left in effect.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    /// The undo outcome of each fault, with the fault's number in the plan. The latest fault is
    /// first.
    pub(crate) outcomes: Vec<(usize, UndoOutcome)>,
    /// A line for each kept journal. A journal is kept if its fault could not be undone.
    pub(crate) kept: Vec<String>,
}

/// Undoes the faults whose directories are in `of_all_faults`, the latest first. Ignores
/// directories without a journal.
///
/// The journals are trusted. Call this function only for tests outside of the sandbox, and only
/// after the test's process has ended.
pub(crate) fn recover(of_all_faults: &Path) -> Recovery {
    let entries = fs::read_dir(of_all_faults).into_iter().flatten().flatten();
    let mut numbers: Vec<usize> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let mut recovery = Recovery::default();
    for number in numbers {
        let scratch = of_all_faults.join(number.to_string());
        let (fault, outcome) = match JournalFile::read(&scratch) {
            Ok(None) => continue,
            Ok(Some(journal)) => run(journal, &scratch),
            Err(error) => (format!("fault {number}"), failed(&error)),
        };
        if let UndoOutcome::Failed { error } = &outcome {
            let journal = store::path(&scratch);
            let journal = journal.display();
            recovery.kept.push(format!(
                "{fault} is not undone: {error}; its journal is kept in {journal}"
            ));
        }
        recovery.outcomes.push((number, outcome));
    }
    recovery
}

fn run(mut journal: JournalFile, scratch: &Path) -> (String, UndoOutcome) {
    let Execution { outcome, remaining } = execution::run(journal.steps);
    journal.steps = remaining;
    let written = match journal.steps.is_empty() {
        true => {
            store::forget(scratch);
            Ok(())
        }
        // The file keeps only the failed step and the steps recorded before it. Another binary can
        // run these steps later.
        false => journal.write(scratch),
    };
    let outcome = match written {
        Ok(()) => outcome,
        Err(error) => failed(&error),
    };
    (journal.fault, outcome)
}

fn failed(error: &impl ToString) -> UndoOutcome {
    UndoOutcome::Failed {
        error: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{UndoCondition, UndoJournal, UndoStep};
    use std::path::PathBuf;
    use tempfile::TempDir;

    /// Returns the parent directory of a case, a file in this parent, and the journal of the case's
    /// first fault.
    fn journal() -> (TempDir, PathBuf, UndoJournal) {
        let home = tempfile::tempdir().unwrap();
        let scratch = undo_of(&home).join("1");
        let file = home.path().join("file");
        fs::write(&file, "before").unwrap();
        (
            home,
            file,
            UndoJournal::new(scratch, "kind target".to_owned()),
        )
    }

    fn undo_of(home: &TempDir) -> PathBuf {
        home.path().join("case/undo")
    }

    fn outcome_of(home: &TempDir) -> UndoOutcome {
        let mut recovery = recover(&undo_of(home));
        assert_eq!(recovery.outcomes.len(), 1);
        recovery.outcomes.remove(0).1
    }

    #[test]
    fn recover_restores_content_and_time() {
        let (home, file, mut journal) = journal();
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        journal.record(UndoStep::restore(&file).unwrap()).unwrap();
        fs::write(&file, "longer than before").unwrap();
        journal.expect_unchanged(&file).unwrap();
        assert_eq!(outcome_of(&home), UndoOutcome::Restored);
        assert_eq!(fs::read(&file).unwrap(), b"before");
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), modified);
        assert!(recover(&undo_of(&home)).outcomes.is_empty());
    }

    #[test]
    fn recover_file_written_since_is_superseded() {
        let (home, file, mut journal) = journal();
        journal.record(UndoStep::restore(&file).unwrap()).unwrap();
        fs::write(&file, "damage").unwrap();
        journal.expect_unchanged(&file).unwrap();
        fs::write(&file, "repaired").unwrap();
        assert!(matches!(outcome_of(&home), UndoOutcome::Superseded { .. }));
        assert_eq!(fs::read(&file).unwrap(), b"repaired");
    }

    #[test]
    fn recover_runs_steps_in_reverse_order() {
        let (home, file, mut journal) = journal();
        let aside = home.path().join("aside");
        journal.record(UndoStep::rename(&aside, &file)).unwrap();
        fs::rename(&file, &aside).unwrap();
        let empty = UndoCondition::EmptyDirectory { path: file.clone() };
        journal
            .record(UndoStep::remove(&file).only_if(empty))
            .unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(outcome_of(&home), UndoOutcome::Restored);
        assert_eq!(fs::read(&file).unwrap(), b"before");
    }

    #[test]
    fn recover_step_that_fails_stays_with_those_before_it() {
        let (home, file, mut journal) = journal();
        journal.record(UndoStep::restore(&file).unwrap()).unwrap();
        fs::write(&file, "damage").unwrap();
        let below = file.join("below");
        journal
            .record(UndoStep::rename("/nowhere", &below))
            .unwrap();
        let recovery = recover(&undo_of(&home));
        assert!(matches!(recovery.outcomes[0].1, UndoOutcome::Failed { .. }));
        assert!(recovery.kept[0].starts_with("kind target is not undone: "));
        assert_eq!(fs::read(&file).unwrap(), b"damage");
        let kept = JournalFile::read(&undo_of(&home).join("1")).unwrap();
        assert_eq!(kept.unwrap().steps.len(), 2);
    }

    #[test]
    fn record_removal_of_existing_path_is_refused() {
        let (_home, file, mut journal) = journal();
        let refused = journal.record(UndoStep::remove(&file));
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("exists before the fault")
        );
    }

    #[test]
    fn record_without_handler_is_refused() {
        let (home, _, mut journal) = journal();
        let refused = journal.record(UndoStep::custom("unknown", 1).unwrap());
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("no undo handler `unknown`")
        );
        assert!(recover(&undo_of(&home)).outcomes.is_empty());
    }

    #[test]
    fn record_damage_in_the_case_directory_writes_no_file() {
        let home = tempfile::tempdir().unwrap();
        let case = home.path().join("case");
        fs::create_dir(&case).unwrap();
        let file = case.join("file");
        fs::write(&file, "before").unwrap();
        let mut journal = UndoJournal::new(undo_of(&home).join("1"), String::new());
        journal.record(UndoStep::restore(&file).unwrap()).unwrap();
        fs::write(&file, "damage").unwrap();
        assert!(!undo_of(&home).exists());
        assert_eq!(journal.undo(), UndoOutcome::Restored);
        assert_eq!(fs::read(&file).unwrap(), b"before");
    }

    #[test]
    #[cfg(unix)]
    fn recover_restores_mode_and_times() {
        use std::os::unix::fs::PermissionsExt as _;
        let (home, file, mut journal) = journal();
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        let changed = UndoCondition::Mode {
            path: file.clone(),
            mode: 0o444,
        };
        journal
            .record(UndoStep::set_mode(&file, 0o640).only_if(changed))
            .unwrap();
        journal
            .record(UndoStep::set_modified(&file, modified))
            .unwrap();
        fs::write(&file, "before").unwrap();
        mode(0o444);
        assert_eq!(outcome_of(&home), UndoOutcome::Restored);
        let found = fs::metadata(&file).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o640);
        assert_eq!(found.modified().unwrap(), modified);
    }
}
