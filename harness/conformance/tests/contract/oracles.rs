//! Oracles: conditions that must hold always, or at least once in a sweep.

use crate::suite;
use clarity_chaos::{OracleKind, Verdict};
use std::cell::Cell;

const MET: &str = "oracles::met";
const UNMET: &str = "oracles::unmet";

#[test]
fn sweep_that_meets_every_oracle_passes() {
    let ran = suite().run(["--exact", MET, "--seeds", "0..64"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn sweep_fails_with_the_oracles_that_no_case_met() {
    let suite = suite();
    let junit = suite.tmp().join("junit.xml");
    let sweep = ["--exact", UNMET, "--seeds", "0..4", "--junit"];
    let ran = suite.run(sweep.into_iter().chain(junit.to_str()));
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    let held = "never held, though 4 cases have reached it: sometimes! \"a test has no name\"";
    let reached = "never reached: reachable! \"a place that nothing reaches\"";
    for printed in [held, reached, "sweep result: FAILED. 4 cases passed"] {
        assert!(ran.stdout.contains(printed), "{}", ran.stdout);
    }
    // Oracles of unselected tests do not count.
    assert!(!ran.stdout.contains("is drawn"), "{}", ran.stdout);
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(junit.contains("a place that nothing reaches"), "{junit}");
}

#[test]
fn single_run_fails_for_unmet_oracles_only_when_strict() {
    assert_eq!(suite().run(["--exact", UNMET]).code, Some(0));
    let strict = suite().run(["--exact", UNMET, "--oracles", "strict"]);
    assert_eq!(strict.code, Some(101));
    assert!(strict.stdout.contains("never held"), "{}", strict.stdout);
    let sweep = ["--exact", UNMET, "--seeds", "0..4", "--oracles", "off"];
    assert_eq!(suite().run(sweep).code, Some(0));
}

#[test]
fn violations_of_a_case_stay_out_of_the_next_one() {
    let suite = suite();
    let violated = "oracles::violated_in_secret";
    let thread = ["--isolation", "thread", "--exact", violated];
    assert_eq!(suite.run(thread).code, Some(101));
    // The test that failed runs first, in the same process as the other test.
    let ran = suite.run(thread.into_iter().chain([MET, "--failed-first"]));
    let place = |test| ran.stdout.find(&format!("test {test} ...")).unwrap();
    assert!(place(violated) < place(MET), "{}", ran.stdout);
    assert_eq!(ran.records[MET].verdict, Verdict::Passed);
    assert!(ran.records[violated].verdict.is_failure());
}

#[test]
fn oracles_of_shards_are_judged_after_the_merge() {
    let suite = suite();
    let file = |shard: u8| suite.tmp().join(format!("{shard}.json"));
    for shard in 1..=2 {
        let (name, file) = (format!("{shard}/2"), file(shard));
        let sweep = ["--exact", UNMET, "--seeds", "0..8", "--shard", &name];
        let results = ["--results", file.to_str().unwrap()];
        let ran = suite.run(sweep.into_iter().chain(results));
        assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    }
    let merged = suite.run(["--merge".into(), file(1), file(2)]);
    assert_eq!(merged.code, Some(101), "{}", merged.stderr);
    let held = "never held, though 8 cases have reached it";
    assert!(merged.stdout.contains(held), "{}", merged.stdout);
}

#[test]
fn violated_always_fails_the_case_despite_a_caught_panic() {
    let record = suite().record_of("oracles::violated_in_secret");
    let Verdict::Failed { message } = &record.verdict else {
        panic!("{:?}", record.verdict);
    };
    let printed = "an oracle did not hold: always! \"one is more than two\"";
    assert!(message.contains(printed), "{message}");
    let [seen] = &record.oracles[..] else {
        panic!("{:?}", record.oracles);
    };
    assert_eq!((seen.oracle.kind, seen.held), (OracleKind::Always, false));
    assert!(
        seen.oracle
            .function
            .ends_with("oracles::violated_in_secret")
    );
}

#[test]
fn oracles_outside_of_a_test_evaluate_nothing() {
    let evaluated = Cell::new(0);
    let evaluate = || {
        evaluated.set(evaluated.get() + 1);
        false
    };
    clarity_chaos::always!(evaluate(), "outside of a chaos test");
    clarity_chaos::sometimes!(evaluate(), "outside of a chaos test");
    clarity_chaos::reachable!("outside of a chaos test");
    assert_eq!(evaluated.get(), 0);
}
