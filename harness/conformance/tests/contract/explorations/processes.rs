//! Explorations of operations of several processes.

use super::{explored, failed, passed};

/// Returns the calls that the exploration of a test recorded.
#[track_caller]
fn calls(test: &str) -> Vec<String> {
    let (_, calls) = explored(&format!("processes::{test}"));
    calls.into_iter().map(|call| call.call).collect()
}

#[test]
fn processes_are_named_by_order_of_creation() {
    assert_eq!(
        calls("children_are_numbered_as_they_are_created"),
        [
            "mkdir of own by the operation's own process",
            "mkdir of shell by child 1 of child 1 (mkdir)",
            "mkdir of first by child 2 of child 1 (mkdir)",
            "mkdir of second by child 3 of child 1 (mkdir)",
            "mkdir of third by child 3 (mkdir)",
            "mkdir of forked by child 4",
        ]
    );
    assert_eq!(
        calls("children_are_numbered_whichever_calls_first"),
        [
            "mkdir of second by child 2 (mkdir)",
            "mkdir of first by child 1 (mkdir)",
        ]
    );
    assert_eq!(
        calls("orphan_keeps_its_name"),
        ["mkdir of late by child 1 of child 1 (mkdir)"]
    );
}

#[test]
fn unidentified_processes_have_no_number() {
    for call in calls("children_of_two_threads_are_unidentified") {
        assert!(
            call.ends_with("by an unidentified process (mkdir)"),
            "{call}"
        );
    }
}

#[test]
fn one_process_dies_while_the_others_go_on() {
    passed("processes::status_of_a_program");
    passed("processes::status_of_a_fork");
    passed("processes::death_of_the_parent");
    passed("processes::each_process_is_a_victim");
    passed("processes::child_that_never_ends");
}

#[test]
fn unidentified_process_cannot_die_alone() {
    failed(
        "processes::death_of_a_process_of_two_threads",
        &[
            "not explorable: a process cannot die alone",
            "by an unidentified process (mkdir)",
        ],
    );
}

#[test]
fn power_loss_covers_the_calls_of_all_processes() {
    passed("processes::power_loss_after_a_program");
}
