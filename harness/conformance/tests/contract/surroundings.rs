//! The surroundings of a test do not depend on the tests that ran before.

use crate::suite;
use clarity_chaos::{EventKind, Record, Verdict};
use clarity_chaos_conformance::Suite;
use std::collections::BTreeMap;
use std::thread;

/// A test for each kind of ending. Their names precede those of the tests that show their
/// surroundings, so they run before.
const ENDINGS: [&str; 14] = [
    "calls::writes_fail",
    "endings::aborts",
    "endings::exits_early",
    "endings::fails",
    "endings::overflows_its_stack",
    "endings::panics",
    "endings::passes",
    "endings::skips",
    "endings::waits_forever",
    "limits::fatal_allocation",
    "processes::aborts_with_a_child",
    "processes::leaves_a_child",
    "processes::leaves_a_daemon",
    "resources::hangs_meanwhile",
];

const SHOWING: [&str; 3] = [
    "surroundings::shows",
    "surroundings::shows_again",
    "surroundings::shows_once_more",
];

/// Lists the surroundings that a test has noted.
fn shown(record: &Record) -> Vec<&str> {
    let notes = record
        .timeline
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Note { text } => Some(text.as_str()),
            _ => None,
        });
    notes.collect()
}

/// Lists the surroundings of each test in `tests`, after the tests in `before`.
fn after(
    suite: &Suite,
    before: &[&str],
    tests: &[&str],
    options: &[&str],
) -> BTreeMap<String, Vec<String>> {
    let arguments = ["--exact"].into_iter().chain(before.iter().copied());
    let arguments = arguments.chain(tests.iter().copied());
    let ran = suite.run(arguments.chain(options.iter().copied()));
    let lines = |test: &&str| {
        let record = ran.records.get(*test);
        let record = record.unwrap_or_else(|| panic!("{test} has no record: {}", ran.stderr));
        let lines: Vec<String> = shown(record).into_iter().map(str::to_owned).collect();
        assert!(lines.len() > 50, "{record:?}");
        ((*test).to_owned(), lines)
    };
    tests.iter().map(lines).collect()
}

#[track_caller]
fn assert_same(alone: &[String], now: &[String], when: &str) {
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these
            .iter()
            .filter(|line| !those.contains(line))
            .cloned()
            .collect()
    };
    let (before, after) = (only(alone, now), only(now, alone));
    assert!(
        before.is_empty() && after.is_empty(),
        "{when}: {before:#?} have become {after:#?}"
    );
}

#[test]
fn surroundings_are_the_same_after_each_ending() {
    let suite = suite();
    for sandbox in ["none", "all"] {
        let options = ["--sandbox", sandbox, "--test-threads", "1"];
        let alone = &after(&suite, &[], &SHOWING[..1], &options)[SHOWING[0]];
        let last = ["surroundings::changes_all"];
        for ending in ENDINGS.iter().chain(&last) {
            let now = &after(&suite, &[ending], &SHOWING[..1], &options)[SHOWING[0]];
            assert_same(alone, now, &format!("{ending}, sandbox {sandbox}"));
        }
    }
}

#[test]
fn surroundings_are_the_same_with_several_threads() {
    let suite = suite();
    for sandbox in ["none", "marked", "all"] {
        let options = ["--sandbox", sandbox, "--test-threads", "3"];
        let alone = &after(&suite, &[], &SHOWING[..1], &options[..2])[SHOWING[0]];
        for (test, now) in after(&suite, &ENDINGS, &SHOWING, &options) {
            assert_same(alone, &now, &format!("{test}, sandbox {sandbox}"));
        }
    }
}

/// The test above would show nothing if this test changed nothing.
#[test]
fn test_can_change_its_own_surroundings() {
    for sandbox in ["none", "all"] {
        let test = "surroundings::changes_all";
        let ran = suite().run(["--exact", test, "--sandbox", sandbox]);
        assert_eq!(ran.records[test].verdict, Verdict::Passed, "{}", ran.stdout);
    }
}

/// Another supervisor starts for the tests in the sandbox, from a thread that has run a test.
#[test]
fn surroundings_are_the_same_after_a_test_with_another_sandbox() {
    let suite = suite();
    let test = ["surroundings::shows_in_the_sandbox"];
    let alone = &after(&suite, &[], &test, &[])[test[0]];
    let now = &after(
        &suite,
        &["endings::passes"],
        &test,
        &["--test-threads", "1"],
    )[test[0]];
    assert_same(alone, now, "after a test without the sandbox");
}

#[test]
fn test_may_run_on_all_processors_of_the_runner() {
    let suite = suite();
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let mut lines = status.lines();
    let processors = lines.find(|line| line.starts_with("Cpus_allowed_list"));
    let processors = processors.unwrap().to_owned();
    let expected = [
        format!("parallelism: {}", thread::available_parallelism().unwrap()),
        format!("main thread: {processors}"),
        processors,
    ];
    for before in [&[][..], &ENDINGS, &["surroundings::changes_all"]] {
        for options in [&["--test-threads", "1"][..], &[], &["--check-determinism"]] {
            for (test, lines) in after(&suite, before, &SHOWING, options) {
                for line in &expected {
                    assert!(
                        lines.contains(line),
                        "{test} after {before:?}: {line} {lines:#?}"
                    );
                }
            }
        }
    }
}
