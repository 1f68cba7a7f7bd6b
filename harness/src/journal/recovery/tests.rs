//! Faults that another process undoes, by their journals.

use super::*;
use crate::journal::{UndoCondition, UndoJournal, UndoStep};
use std::path::{Path, PathBuf};
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
    let mut recovery = recover(&undo_of(home), UndoneBy::Runner);
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
    assert!(
        recover(&undo_of(&home), UndoneBy::Runner)
            .outcomes
            .is_empty()
    );
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
    let recovery = recover(&undo_of(&home), UndoneBy::Runner);
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
    assert!(
        recover(&undo_of(&home), UndoneBy::Runner)
            .outcomes
            .is_empty()
    );
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

/// The file's journal as it is after `steps` are recorded, and before the damage is complete.
fn edit(file: &Path, journal: &mut UndoJournal, old: &[u8], new: &[u8]) {
    let modified = fs::metadata(file).unwrap().modified().unwrap();
    let step = UndoStep::restore_bytes(file, 0, old.to_vec(), new.len() as u64, modified);
    journal.record(step.with_damage(new.to_vec())).unwrap();
}

fn later(home: &TempDir) -> UndoOutcome {
    let mut recovery = recover(&undo_of(home), UndoneBy::LaterRun);
    assert_eq!(recovery.outcomes.len(), 1);
    assert_eq!(recovery.kept.len() + recovery.undone.len(), 1);
    recovery.outcomes.remove(0).1
}

/// Writes in place: the file keeps its inode.
fn write(file: &Path, content: &[u8]) {
    let opened = fs::File::options().write(true).open(file).unwrap();
    opened.set_len(content.len() as u64).unwrap();
    std::io::Write::write_all(&mut &opened, content).unwrap();
}

#[test]
fn later_run_restores_each_state_of_incomplete_damage() {
    for (new, states) in [
        (
            &b"BEFORE"[..],
            &[&b"before"[..], b"Before", b"BEFORe", b"BEFORE"][..],
        ),
        (b"BE", &[b"before", b"BEfore", b"BE", b"BEfor"]),
        (
            b"BEFORE and after",
            &[b"BEFOre", b"BEFORE a", b"BEFORE and after"],
        ),
    ] {
        for state in states {
            let (home, file, mut journal) = journal();
            let modified = fs::metadata(&file).unwrap().modified().unwrap();
            edit(&file, &mut journal, b"before", new);
            write(&file, state);
            assert_eq!(later(&home), UndoOutcome::Restored, "{state:?}");
            assert_eq!(fs::read(&file).unwrap(), b"before");
            assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), modified);
            assert!(!has_journal(&undo_of(&home)));
        }
    }
}

#[test]
fn later_run_keeps_bytes_of_others_and_the_original() {
    for state in [&b"BXFORE"[..], b"", b"before!", b"anything"] {
        let (home, file, mut journal) = journal();
        edit(&file, &mut journal, b"before", b"BEFORE");
        write(&file, b"BEFORE");
        journal.expect_unchanged(&file).unwrap();
        write(&file, state);
        let outcome = later(&home);
        assert!(
            matches!(outcome, UndoOutcome::Superseded { .. }),
            "{outcome:?}"
        );
        assert_eq!(fs::read(&file).unwrap(), state);
        // The original stays, and each later run names it again.
        assert!(has_journal(&undo_of(&home)));
        assert_eq!(later(&home), outcome);
    }
}

#[test]
fn later_run_completes_an_undo_that_was_killed() {
    let (home, file, mut journal) = journal();
    edit(&file, &mut journal, b"before", b"BEFORE");
    write(&file, b"BEFORE");
    journal.expect_unchanged(&file).unwrap();
    let mut stored = JournalFile::read(&undo_of(&home).join("1"))
        .unwrap()
        .unwrap();
    // The process was killed after it had written three bytes.
    stored.steps[0].begun = true;
    stored.write().unwrap();
    write(&file, b"befORE");
    assert_eq!(later(&home), UndoOutcome::Restored);
    assert_eq!(fs::read(&file).unwrap(), b"before");
}

#[test]
fn later_run_does_not_damage_a_restored_copy() {
    let (home, file, mut journal) = journal();
    edit(&file, &mut journal, b"before", b"BEFORE");
    write(&file, b"BEFORE");
    journal.expect_unchanged(&file).unwrap();
    let other = file.with_extension("other");
    fs::write(&other, "before").unwrap();
    fs::rename(&other, &file).unwrap();
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(later(&home), UndoOutcome::Restored);
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), modified);
}

#[test]
fn later_run_needs_proof_of_damage_by_other_code() {
    let (home, file, mut journal) = journal();
    journal.record(UndoStep::restore(&file).unwrap()).unwrap();
    write(&file, b"damage or repair");
    assert!(matches!(later(&home), UndoOutcome::Superseded { .. }));
    // Right after the kill, it can only be damage.
    assert_eq!(
        recover(&undo_of(&home), UndoneBy::Supervisor).outcomes[0].1,
        UndoOutcome::Restored
    );
    assert_eq!(fs::read(&file).unwrap(), b"before");
}

#[test]
fn later_run_moves_nothing_over_a_new_file() {
    let (home, file, mut journal) = journal();
    let aside = undo_of(&home).join("1/aside");
    journal.record(UndoStep::rename(&aside, &file)).unwrap();
    fs::rename(&file, &aside).unwrap();
    fs::write(&file, "new").unwrap();
    assert!(matches!(later(&home), UndoOutcome::Superseded { .. }));
    assert_eq!(fs::read(&file).unwrap(), b"new");
    fs::remove_file(&file).unwrap();
    assert_eq!(later(&home), UndoOutcome::Restored);
    assert_eq!(fs::read(&file).unwrap(), b"before");
}

#[test]
fn later_run_keeps_a_directory_in_place_of_the_placeholder() {
    let (home, file, mut journal) = journal();
    let aside = undo_of(&home).join("1/aside");
    journal.record(UndoStep::rename(&aside, &file)).unwrap();
    fs::rename(&file, &aside).unwrap();
    let empty = UndoCondition::EmptyDirectory { path: file.clone() };
    journal
        .record(UndoStep::remove(&file).only_if(empty))
        .unwrap();
    fs::create_dir(&file).unwrap();
    journal.created(&file).unwrap();
    let placeholder = home.path().join("placeholder");
    fs::rename(&file, &placeholder).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(matches!(later(&home), UndoOutcome::Superseded { .. }));
    assert!(file.is_dir() && aside.is_file());
    fs::remove_dir(&file).unwrap();
    fs::rename(&placeholder, &file).unwrap();
    assert_eq!(later(&home), UndoOutcome::Restored);
    assert!(file.is_file());
}

#[test]
fn recover_interrupted_after_the_rename_keeps_an_empty_original() {
    let (home, file, mut journal) = journal();
    let (original, aside) = (home.path().join("empty"), undo_of(&home).join("1/aside"));
    drop(file);
    fs::create_dir(&original).unwrap();
    journal.record(UndoStep::rename(&aside, &original)).unwrap();
    fs::rename(&original, &aside).unwrap();
    let empty = UndoCondition::EmptyDirectory {
        path: original.clone(),
    };
    let remove = UndoStep::remove(&original).only_if(empty);
    journal.record(remove).unwrap();
    fs::create_dir(&original).unwrap();
    journal.created(&original).unwrap();
    // The process that undoes the fault is killed right after the last step.
    fs::remove_dir(&original).unwrap();
    let mut stored = JournalFile::read(&undo_of(&home).join("1"))
        .unwrap()
        .unwrap();
    stored.steps.truncate(1);
    stored.write().unwrap();
    fs::rename(&aside, &original).unwrap();
    assert_eq!(later(&home), UndoOutcome::Restored);
    assert!(original.is_dir());
}

#[test]
fn recover_refuses_a_journal_that_was_moved() {
    let (home, file, mut journal) = journal();
    edit(&file, &mut journal, b"before", b"BEFORE");
    write(&file, b"BEFORE");
    journal.expect_unchanged(&file).unwrap();
    fs::rename(home.path().join("case"), home.path().join("copy")).unwrap();
    let recovery = recover(&home.path().join("copy/undo"), UndoneBy::LaterRun);
    assert!(
        recovery.kept[0].contains("is a copy or was moved"),
        "{recovery:?}"
    );
    assert_eq!(fs::read(&file).unwrap(), b"BEFORE");
}
