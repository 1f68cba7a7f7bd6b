//! A test that closes the harness's descriptors fails with that reason.

use crate::suite;
use clarity_chaos::Verdict;
use clarity_chaos_conformance::RunOutput;
use std::sync::LazyLock;

static RUN: LazyLock<RunOutput> = LazyLock::new(|| suite().run(["descriptors::"]));

#[track_caller]
fn message(test: &str) -> &'static str {
    let name = format!("descriptors::{test}");
    match RUN.records.get(&name).map(|record| &record.verdict) {
        Some(Verdict::Failed { message }) => message,
        other => panic!("{test}: {other:?}\n{}", RUN.stdout),
    }
}

#[test]
fn test_that_closes_the_timeline_fails_with_that_reason() {
    for test in [
        "closes_all",
        "closes_all_and_fails",
        "reuses_the_numbers",
        "closes_all_of_a_runtime",
    ] {
        let message = message(test);
        assert!(
            message.contains("closed descriptors of the harness"),
            "{test}: {message}"
        );
        assert!(message.contains("close_range"), "{test}: {message}");
    }
}

/// The message of the test's own failure is not lost.
#[test]
fn own_failure_of_such_a_test_is_in_the_message() {
    let message = message("closes_all_and_fails");
    assert!(message.contains("another failure"), "{message}");
}

#[test]
fn exit_code_alone_is_no_proof_of_closed_descriptors() {
    let record = &RUN.records["descriptors::exits_like_it"];
    assert_eq!(record.verdict, Verdict::ExitedEarly { code: 102 });
}

/// The harness writes no event into a file that has the number of its closed descriptor.
#[test]
fn file_with_a_reused_descriptor_number_gets_no_event() {
    let record = &RUN.records["descriptors::reuses_the_numbers"];
    let Verdict::Failed { message } = &record.verdict else {
        panic!("{:?}", record.verdict);
    };
    assert!(!message.contains("assertion"), "{message}");
}
