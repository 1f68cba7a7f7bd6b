//! `--minimize` finds those faults of a plan that cause the failure.

use crate::suite;
use clarity_chaos::{Minimized, Verdict};

const ONE: &str = "plans::one_of_fourteen";

fn minimized(test: &str) -> Minimized {
    let mut ran = suite().run(["--exact", test, "--minimize=60s"]);
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    let minimized = ran.records.remove(test).unwrap().minimized.unwrap();
    assert!(
        ran.stdout.contains(&minimized.description),
        "{}",
        ran.stdout
    );
    minimized
}

#[test]
fn failing_seed_of_a_sweep_is_minimized_to_its_one_cause() {
    // The test fails with about half of the seeds.
    let sweep = ["--exact", ONE, "--seeds", "0..20", "--minimize=60s"];
    let ran = suite().run(sweep);
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    let record = &ran.records[ONE];
    assert_eq!(record.faults.len(), 14);
    let minimized = record.minimized.as_ref().unwrap();
    assert_eq!(
        minimized.description,
        "fails with 1 of 14 faults: bit 3 of byte 118 of model.onnx flipped after \"the second request\""
    );
    assert!(minimized.complete);
    assert!(
        ran.stdout.contains(&minimized.description),
        "{}",
        ran.stdout
    );
}

#[test]
fn faults_that_fail_only_together_are_both_kept() {
    let minimized = minimized("plans::two_together");
    assert_eq!(minimized.total_faults, 11);
    assert_eq!(
        minimized.description,
        "fails with 2 of 11 faults: first cut after 0 bytes; last deleted"
    );
}

#[test]
fn failure_without_a_causing_fault_is_reported_so() {
    let minimized = minimized("plans::fails_anyway");
    assert_eq!(
        minimized.description,
        "fails with 0 of 1 fault: they are not the cause"
    );
}

#[test]
fn failure_that_does_not_recur_is_not_searched() {
    let minimized = minimized("plans::fails_once");
    let printed = "did not fail in the same way again";
    assert!(minimized.description.starts_with(printed), "{minimized:?}");
    assert_eq!(minimized.runs, 1);
}

#[test]
fn search_ends_at_its_time_limit() {
    let test = "plans::two_together";
    let ran = suite().run(["--exact", test, "--minimize=1ns"]);
    let record = &ran.records[test];
    assert!(matches!(record.verdict, Verdict::Failed { .. }));
    let minimized = record.minimized.as_ref().unwrap();
    assert_eq!((minimized.runs, minimized.complete), (0, false));
}

#[test]
fn no_search_without_the_option() {
    let record = suite().record_of("plans::two_together");
    assert!(matches!(record.verdict, Verdict::Failed { .. }));
    assert_eq!(record.minimized, None);
}
