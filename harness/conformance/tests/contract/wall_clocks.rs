//! A wall clock that follows the manual clock.

use crate::suite;
use clarity_chaos::Verdict;

#[test]
#[cfg(feature = "wall-clock")]
fn wall_clock_follows_from_its_start() {
    use clarity_chaos::EventKind;
    let ran = suite().run(["wall_clocks::"]);
    for test in [
        "follows",
        "follows_in_woken_tasks",
        "leaves_other_clocks",
        "does_not_ask",
    ] {
        let record = &ran.records[&format!("wall_clocks::{test}")];
        assert_eq!(record.verdict, Verdict::Passed, "{test}");
    }
    let record = &ran.records["wall_clocks::follows"];
    let starts: Vec<&str> = record
        .timeline
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::WallClockFollows { start } => Some(start.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(starts, ["2001-09-09T01:46:40.999999999Z"]);
}

#[test]
#[cfg(not(feature = "wall-clock"))]
fn wall_clock_that_cannot_follow_is_skipped_by_name() {
    let verdict = suite().verdict_of("wall_clocks::follows");
    let Verdict::Skipped { reason } = &verdict else {
        panic!("{verdict:?}");
    };
    assert!(reason.contains("the wall clock cannot follow"), "{reason}");
    assert!(reason.contains("features = [\"wall-clock\"]"), "{reason}");
}

#[test]
fn wall_clock_of_a_shared_process_cannot_follow() {
    let test = "wall_clocks::follows";
    let ran = suite().run(["--isolation", "thread", "--exact", test]);
    let Verdict::Skipped { reason } = &ran.records[test].verdict else {
        panic!("{:?}", ran.records[test].verdict);
    };
    assert!(reason.contains("the wall clock cannot follow"), "{reason}");
    assert!(reason.contains("--isolation thread"), "{reason}");
}

#[test]
fn wall_clock_that_is_asked_wrongly_fails_the_test() {
    for (test, words) in [
        ("starts_too_early", "years 1970 to 9999"),
        ("follows_a_paused_clock", "clock = \"manual\""),
        ("follows_a_real_clock", "clock = \"manual\""),
    ] {
        let verdict = suite().verdict_of(&format!("wall_clocks::{test}"));
        let Verdict::Failed { message } = &verdict else {
            panic!("{test}: {verdict:?}");
        };
        assert!(message.contains(words), "{test}: {message}");
    }
}
