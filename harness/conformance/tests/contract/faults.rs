//! Tests of file faults: the damage, the undoing, and the events of both on the timeline.

use crate::suite;
use clarity_chaos::fault::UndoOutcome;
use clarity_chaos::{Event, EventKind, Record, Verdict};
use clarity_chaos_conformance::Suite;
use clarity_chaos_conformance::limits::output_of;

fn record(test: &str) -> Record {
    suite().record_of(test)
}

pub(crate) fn undone(event: &Event) -> Option<(usize, &UndoOutcome)> {
    match &event.kind {
        EventKind::FaultUndone { fault_id, outcome } => Some((*fault_id, outcome)),
        _ => None,
    }
}

#[test]
fn file_faults_do_damage_and_undo_it() {
    let record = record("faults::undone");
    assert_eq!(record.verdict, Verdict::Passed, "{:?}", record.output);
    let kinds: Vec<_> = record
        .faults
        .iter()
        .map(|fault| fault.kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "bit_flip", "garbage", "truncate", "replace", "delete", "bit_flip"
        ]
    );
    let results: Vec<_> = record.timeline.iter().filter_map(undone).collect();
    assert_eq!(results.len(), 6);
    assert!(
        results
            .iter()
            .all(|(_, result)| **result == UndoOutcome::Restored),
        "{results:?}"
    );
}

#[test]
#[cfg(unix)]
fn displacement_and_permission_faults_are_undone() {
    for test in ["faults::undone_as_well", "faults::stand_ins_superseded"] {
        let record = record(test);
        assert_eq!(record.verdict, Verdict::Passed, "{test}");
        assert_eq!(record.faults_in_effect().count(), 0, "{test}");
    }
    let sentences = record("faults::undone_as_well").faults;
    let sentences: Vec<_> = sentences
        .iter()
        .map(|fault| fault.description.as_str())
        .collect();
    assert_eq!(sentences[0], "5 bytes of garbage appended to a");
    assert_eq!(
        sentences[2],
        "2 bytes of a from byte 1 on overwritten with zeros"
    );
    assert!(sentences.contains(&"an empty directory in the place of a"));
    assert!(sentences.contains(&"a symlink to new in the place of a"));
    assert!(
        sentences.contains(&"the mode of a changed to 000"),
        "{sentences:?}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn other_file_system_is_mounted_and_removed() {
    for sandbox in ["marked", "none"] {
        let test = "faults::on_another_file_system";
        let ran = suite().run(["--exact", test, "--sandbox", sandbox]);
        let record = &ran.records[test];
        assert_eq!(record.verdict, Verdict::Passed, "{sandbox}");
        let notes = record
            .timeline
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Note { text } => Some(text),
                _ => None,
            });
        let paths: Vec<_> = notes.collect();
        assert_eq!(paths.len(), 1);
        assert!(!std::path::Path::new(paths[0]).exists(), "{paths:?}");
    }
}

#[test]
fn paths_in_the_plan_are_relative_to_the_test_directory() {
    let record = record("faults::undone");
    assert_eq!(record.faults[3].target, "a");
    assert_eq!(
        record.faults[3].plan,
        serde_json::json!({"source": "other"})
    );
}

#[test]
fn faults_left_to_the_end_are_undone_in_reverse_order() {
    let record = record("faults::drawn");
    let order: Vec<_> = record
        .timeline
        .iter()
        .filter_map(undone)
        .map(|(id, _)| id)
        .collect();
    assert_eq!(order, [3, 2, 1]);
}

#[test]
fn repaired_file_is_not_damaged_again_by_undoing() {
    let record = record("faults::superseded");
    assert_eq!(record.verdict, Verdict::Passed, "{:?}", record.output);
}

#[test]
fn fault_that_cannot_be_undone_fails_the_test() {
    let Verdict::Failed { message } = record("faults::left_behind").verdict else {
        panic!("a fault was left behind, and the test did not fail");
    };
    assert!(
        message.starts_with("a fault is left behind: bit_flip folder/a"),
        "{message}"
    );
}

#[test]
fn fault_that_does_not_fit_its_target_is_an_error() {
    let Verdict::Failed { message } = record("faults::unfit").verdict else {
        panic!("an empty file has no bit to flip");
    };
    assert!(
        message.ends_with("expected a bit to flip, found an empty file"),
        "{message}"
    );
}

#[test]
fn faults_of_one_file_are_undone_in_reverse_order() {
    for test in [
        "dropped_in_the_wrong_order",
        "replaced_by_the_code_under_test",
        "undone_with_its_times",
        "without_effect",
    ] {
        let record = record(&format!("faults::{test}"));
        assert_eq!(record.verdict, Verdict::Passed, "{:?}", record.output);
    }
}

#[test]
fn forgotten_guard_is_undone_at_the_end() {
    let record = record("faults::forgotten");
    let results: Vec<_> = record.timeline.iter().filter_map(undone).collect();
    assert_eq!(results, [(1, &UndoOutcome::Restored)]);
}

/// Runs a test that damages a file outside the test's directory.
///
/// Returns the test's record, the standard output of the run, the file's path, and the file's
/// content.
fn damage_outside(test: &str) -> (Record, String, String, String) {
    damage_outside_as(None, &suite(), test)
}

/// Does the same as [`damage_outside`], but with `suite`. The runner runs as `user`, or as the
/// current user if `user` is `None`.
pub(crate) fn damage_outside_as(
    user: Option<u32>,
    suite: &Suite,
    test: &str,
) -> (Record, String, String, String) {
    let file = suite.tmp().join("outside");
    std::fs::write(&file, OUTSIDE).unwrap();
    let mut command = suite.command();
    command
        .args(["--exact", test])
        .env("MISBEHAVING_FILE", &file);
    #[cfg(unix)]
    if let Some(user) = user {
        use std::os::unix::process::CommandExt as _;
        std::os::unix::fs::chown(&file, Some(user), Some(user)).unwrap();
        command.uid(user).gid(user);
    }
    let output = output_of(&mut command);
    let record = suite.records().remove(test).unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let content = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
    (record, printed, file.display().to_string(), content)
}

pub(crate) const OUTSIDE: &str = "outside of the test's directory";

#[test]
fn fault_in_effect_at_the_timeout_is_undone() {
    let (record, _, _, content) = damage_outside("faults::in_effect_at_the_timeout");
    assert_eq!(record.verdict, Verdict::TimedOut { limit_ms: 500 });
    assert_eq!(record.faults.len(), 1);
    assert_eq!(record.faults_in_effect().count(), 0);
    assert_eq!(content, OUTSIDE);
}

#[test]
fn faults_of_a_killed_test_are_undone_by_the_runner() {
    for test in [
        "faults::in_effect_when_killed",
        "faults::gone_when_killed",
        "faults::replaced_and_cut_when_killed",
    ] {
        let (record, printed, _, content) = damage_outside(test);
        assert_eq!(record.verdict, Verdict::Killed { signal: 6 });
        assert!(!record.faults.is_empty());
        assert_eq!(record.faults_in_effect().count(), 0, "{printed}");
        assert!(!printed.contains("still in effect"), "{printed}");
        let undone = record.timeline.iter().filter_map(undone);
        assert!(undone.clone().count() == record.faults.len());
        assert!(
            undone
                .map(|(_, result)| result)
                .all(|result| *result == UndoOutcome::Restored)
        );
        assert_eq!(content, OUTSIDE);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn displaced_file_and_mode_come_back_when_the_test_is_killed() {
    use std::os::unix::fs::PermissionsExt as _;
    // The harness refuses the permissions fault for root, because no mode restricts root. If this
    // process runs as root, another user therefore runs the suite.
    let root = rustix::process::getuid().is_root();
    let user = root.then_some(65534);
    let suite = match user {
        Some(user) => suite().for_user(user),
        None => suite(),
    };
    let mode = || std::fs::metadata(suite.tmp()).map(|found| found.permissions().mode());
    let before = mode().unwrap();
    let test = "faults::displaced_when_killed";
    let (record, printed, _, content) = damage_outside_as(user, &suite, test);
    assert_eq!(record.verdict, Verdict::Killed { signal: 6 });
    assert_eq!(record.faults.len(), 3);
    assert_eq!(record.faults_in_effect().count(), 0, "{printed}");
    let results: Vec<_> = record.timeline.iter().filter_map(undone).collect();
    assert!(
        results.len() == 3
            && results
                .iter()
                .all(|(_, result)| **result == UndoOutcome::Restored),
        "{results:?}"
    );
    assert_eq!(content, OUTSIDE);
    assert_eq!(mode().unwrap(), before);
}

#[test]
fn fault_that_the_runner_cannot_undo_is_reported() {
    let (record, printed, file, content) = damage_outside("faults::without_a_way_back_when_killed");
    assert_eq!(record.verdict, Verdict::Killed { signal: 6 });
    assert_eq!(record.faults_in_effect().count(), 1);
    assert!(printed.contains("still in effect"), "{printed}");
    assert!(printed.contains(&file), "{printed}");
    assert_ne!(content, OUTSIDE, "the fault had no effect");
}
