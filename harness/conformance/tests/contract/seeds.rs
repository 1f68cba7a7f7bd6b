//! Two runs with the same seed draw the same values.

use crate::suite;
use clarity_chaos::fault::PlannedFault;
use clarity_chaos::{Event, EventKind, Verdict};
use clarity_chaos_conformance::RunOutput;
use clarity_chaos_conformance::limits::output_of;

const DRAWN: &str = "faults::drawn";

/// Returns the values that the test `DRAWN` drew: the fault plan, and the number that the test
/// noted.
fn drawn(ran: &RunOutput) -> (Vec<PlannedFault>, String) {
    let record = &ran.records[DRAWN];
    assert_eq!(record.verdict, Verdict::Passed);
    assert_eq!(record.faults.len(), 3);
    let note = |event: &Event| match &event.kind {
        EventKind::Note { text } => Some(text.clone()),
        _ => None,
    };
    let noted = record.timeline.iter().find_map(note).unwrap();
    (record.faults.clone(), noted)
}

#[test]
fn same_seed_draws_the_same_alone_and_among_other_tests() {
    let alone = drawn(&suite().run(["--exact", DRAWN, "--seed", "42"]));
    let among_others = drawn(&suite().run(["faults", "--seed", "0x2a"]));
    assert_eq!(alone, among_others);
    let other = drawn(&suite().run(["--exact", DRAWN, "--seed", "43"]));
    assert_ne!(alone.0, other.0);
    assert_ne!(alone.1, other.1);
}

#[test]
fn run_without_a_seed_draws_a_fresh_one_and_prints_it() {
    let first = suite().run(["--exact", DRAWN]);
    let second = suite().run(["--exact", DRAWN]);
    assert_ne!(drawn(&first), drawn(&second));
    let seed = first.records[DRAWN].root_seed;
    assert!(
        first.stdout.contains(&format!("seed {seed}")),
        "{}",
        first.stdout
    );
}

#[test]
fn last_seed_is_remembered() {
    let suite = suite();
    let none = suite.run(["--exact", DRAWN, "--seed", "last"]);
    assert_eq!(none.code, Some(2));
    assert!(
        none.stderr.contains("there is no earlier run"),
        "{}",
        none.stderr
    );
    let first = drawn(&suite.run(["--exact", DRAWN]));
    let again = drawn(&suite.run(["--exact", DRAWN, "--seed", "last"]));
    assert_eq!(first, again);
}

#[test]
fn concurrent_injections_do_not_change_their_draws() {
    let plan = || {
        let test = "faults::at_the_same_time";
        let mut ran = suite().run(["--exact", test, "--seed", "42"]);
        let mut rows: Vec<_> = ran.records.remove(test).unwrap().faults;
        assert_eq!(rows.len(), 128);
        // Faults of one file keep their order. The scheduler decides the order of the files, so the
        // rows are sorted by file.
        rows.sort_by(|a, b| a.target.cmp(&b.target).then(a.id.cmp(&b.id)));
        rows.into_iter()
            .map(|row| (row.target, row.plan))
            .collect::<Vec<_>>()
    };
    assert_eq!(plan(), plan());
}

#[test]
fn processes_of_a_nextest_run_share_their_seed() {
    let suite = suite();
    let seed = |run: &str, test: &str| {
        let mut command = suite.command();
        command.args(["--exact", test]).env("NEXTEST_RUN_ID", run);
        assert!(output_of(&mut command).status.success());
        suite.records()[test].root_seed
    };
    let first = seed("one", "tags::model");
    assert_eq!(seed("one", "tags::breaker"), first);
    assert_ne!(seed("two", "tags::model"), first);
}
