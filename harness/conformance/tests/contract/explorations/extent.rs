//! Reports say how much an exploration has tried.

use super::{RUN, passed, record};
use crate::suite;
use clarity_chaos::{EventKind, Verdict};

#[test]
fn passing_exploration_says_what_it_tried() {
    passed("extent::all_states");
    passed("extent::some_states");
    passed("extent::names_that_posix_loses");
    let ran = suite().run(["explorations::extent::", "--verbose", "--skip", "hangs"]);
    let lines: Vec<&str> = ran
        .stdout
        .lines()
        .filter_map(|line| line.trim().strip_prefix("explored: "))
        .collect();
    let has = |words: &[&str]| {
        let matches = |line: &&&str| words.iter().all(|word| line.contains(word));
        assert!(
            lines.iter().any(|line| matches(&line)),
            "{words:?}: {lines:#?}"
        );
    };
    has(&[
        "5 calls, 3 points, ",
        " states of the disk (all), ",
        "s, model journaled",
    ]);
    has(&["7 calls, ", " states of the disk (of about "]);
    has(&["would break under posix: ", "rename of draft to current"]);
}

#[test]
fn extent_and_posix_note_are_in_the_record() {
    let mut events = record("extent::names_that_posix_loses").timeline.iter();
    let note = events.find_map(|event| match &event.kind {
        EventKind::Explored {
            breaks_under_posix,
            all_states: true,
            ..
        } => breaks_under_posix.clone(),
        _ => None,
    });
    let note = note.expect("a note");
    assert!(
        note.contains("the power failed after the operation"),
        "{note}"
    );
    assert!(!note.contains('\n'), "{note}");
}

#[test]
fn crashes_during_recovery_are_in_the_record() {
    let events = &record("recoveries::log_truncated_before_the_snapshot").timeline;
    let tried = events.iter().filter_map(|event| match &event.kind {
        EventKind::Explored { recoveries, .. } => Some(*recoveries),
        _ => None,
    });
    assert!(tried.max() > Some(0), "{events:?}");
}

#[test]
fn test_that_times_out_says_how_far_its_exploration_was() {
    for (test, progress) in [
        (
            "check_that_hangs",
            "after 2 of up to about 5 points and states, at call 2 of 3, write of 27 bytes at 0 of other",
        ),
        (
            "operation_that_hangs",
            "in the first, undisturbed run of the operation",
        ),
    ] {
        let test = format!("explorations::extent::{test}");
        let record = &RUN.records[&test];
        assert!(
            matches!(record.verdict, Verdict::TimedOut { .. }),
            "{record:?}"
        );
        assert_eq!(record.exploring(), Some(progress));
        let summary = format!("; it was exploring, {progress}");
        assert!(
            RUN.stdout.contains(&summary),
            "no {summary:?} in {}",
            RUN.stdout
        );
    }
}
