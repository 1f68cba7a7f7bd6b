//! Faults that are defined by another crate, not by the harness.

use super::faults::{OUTSIDE, damage_outside_as, undone};
use crate::suite;
use clarity_chaos::fault::UndoOutcome;
use clarity_chaos::{EventKind, Verdict};
use std::path::Path;

#[test]
fn custom_fault_is_drawn_and_undone() {
    for test in ["undone", "given_up", "without_a_handler"] {
        let record = suite().record_of(&format!("custom_faults::{test}"));
        assert_eq!(
            record.verdict,
            Verdict::Passed,
            "{test}: {:?}",
            record.output
        );
        assert_eq!(record.faults_in_effect().count(), 0, "{test}");
    }
}

#[test]
fn custom_fault_has_the_same_draws_for_the_same_seed() {
    let plans = |seed| {
        let mut ran = suite().run(["--exact", "custom_faults::one_of_seven", "--seed", seed]);
        let record = ran.records.remove("custom_faults::one_of_seven").unwrap();
        record.faults.into_iter().map(|fault| fault.plan)
    };
    assert!(plans("7").eq(plans("7")));
    assert!(!plans("7").eq(plans("8")));
}

#[test]
fn custom_fault_is_minimized() {
    let test = "custom_faults::one_of_seven";
    // The test passes with only about 4 % of the seeds, so some of these four seeds fail.
    let ran = suite().run(["--exact", test, "--seeds", "0..4", "--minimize=60s"]);
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    let minimized = ran.records[test].minimized.as_ref().unwrap();
    assert_eq!(
        minimized.description,
        "fails with 1 of 7 faults: file-3 rotated by 5 bytes"
    );
}

#[test]
fn custom_fault_of_a_killed_test_is_undone() {
    let (suite, test) = (suite(), "custom_faults::in_effect_when_killed");
    let (record, printed, file, content) = damage_outside_as(None, &suite, test);
    assert_eq!(record.verdict, Verdict::Killed { signal: 9 });
    let kinds: Vec<_> = record.faults.iter().map(|fault| &fault.kind).collect();
    assert_eq!(kinds, ["rotate", "mark"]);
    let results: Vec<_> = record.timeline.iter().filter_map(undone).collect();
    let restored = &UndoOutcome::Restored;
    assert_eq!(results, [(2, restored), (1, restored)], "{printed}");
    assert_eq!(content, OUTSIDE);
    assert!(Path::new(&file).exists());
    assert!(!Path::new(&file).with_extension("mark").exists());
}

#[test]
fn undo_handler_of_another_binary_is_named_and_journal_kept() {
    let (suite, test) = (suite(), "custom_faults::handler_of_another_binary");
    let (record, printed, file, _) = damage_outside_as(None, &suite, test);
    assert_eq!(record.verdict, Verdict::Killed { signal: 9 });
    assert_eq!(record.faults_in_effect().count(), 1, "{printed}");
    assert!(Path::new(&file).with_extension("mark").exists());
    let named = record.timeline.iter().any(|event| {
        let missing = "no undo handler `elsewhere.unmark`";
        matches!(&event.kind, EventKind::Note { text } if text.contains(missing))
    });
    assert!(named, "{:?}", record.timeline);
    let journal = record.kept_dir.unwrap().join("undo/1/journal.json");
    let journal = std::fs::read_to_string(journal).unwrap();
    assert!(journal.contains("elsewhere.unmark"), "{journal}");
}
