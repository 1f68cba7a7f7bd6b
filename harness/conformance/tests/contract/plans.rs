//! Which faults of a plan a failure takes.

use crate::suite;
use clarity_chaos::{Minimized, Verdict};

const ONE: &str = "plans::one_of_fourteen";

fn minimized(test: &str) -> Minimized {
    let mut ran = suite().run(["--exact", test, "--minimize=60s"]);
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    let minimized = ran.records.remove(test).unwrap().minimized.unwrap();
    assert!(ran.stdout.contains(&minimized.sentence), "{}", ran.stdout);
    minimized
}

#[test]
fn a_failing_seed_of_a_sweep_is_brought_down_to_its_one_cause() {
    // About half of the seeds fail.
    let sweep = ["--exact", ONE, "--seeds", "0..20", "--minimize=60s"];
    let ran = suite().run(sweep);
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    let record = &ran.records[ONE];
    assert_eq!(record.faults.len(), 14);
    let minimized = record.minimized.as_ref().unwrap();
    assert_eq!(
        minimized.sentence,
        "fails with 1 of 14 faults: bit 3 of byte 118 of model.onnx flipped after \"the second request\""
    );
    assert!(minimized.is_complete);
    assert!(ran.stdout.contains(&minimized.sentence), "{}", ran.stdout);
}

#[test]
fn faults_that_are_needed_together_stay_together() {
    let minimized = minimized("plans::two_together");
    assert_eq!(minimized.of, 11);
    assert_eq!(
        minimized.sentence,
        "fails with 2 of 11 faults: first cut after 0 bytes; last deleted"
    );
}

#[test]
fn a_failure_that_no_fault_causes_is_told_as_such() {
    let minimized = minimized("plans::fails_anyway");
    assert_eq!(
        minimized.sentence,
        "fails with 0 of 1 fault: they are not the cause"
    );
}

#[test]
fn what_does_not_fail_again_is_not_searched() {
    let minimized = minimized("plans::fails_once");
    let told = "did not fail in the same way again";
    assert!(minimized.sentence.starts_with(told), "{minimized:?}");
    assert_eq!(minimized.runs, 1);
}

#[test]
fn a_search_ends_with_its_time() {
    let test = "plans::two_together";
    let ran = suite().run(["--exact", test, "--minimize=1ns"]);
    let record = &ran.records[test];
    assert!(matches!(record.verdict, Verdict::Failed { .. }));
    let minimized = record.minimized.as_ref().unwrap();
    assert_eq!((minimized.runs, minimized.is_complete), (0, false));
}

#[test]
fn nothing_is_searched_unless_asked() {
    let record = suite().record_of("plans::two_together");
    assert_eq!(record.minimized, None);
}
