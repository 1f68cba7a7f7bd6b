//! Explorations find bugs, and refuse operations that they cannot explore.

mod call_identity;
mod evidence;
mod extent;
mod leftovers;
mod mappings;
mod preparations;
mod processes;
mod short_transfers;
mod terminations;

use crate::suite;
use clarity_chaos::{EventKind, ExploredCall, Record, Verdict};
use clarity_chaos_conformance::RunOutput;
use std::sync::LazyLock;

mod files;

static RUN: LazyLock<RunOutput> = LazyLock::new(|| {
    let suite = suite();
    // Each call must explain the content that it leaves.
    let mut command = suite.command();
    suite.run_command(
        command
            .arg("explorations::")
            .env("CHAOS_CHECK_EACH_CALL", "1"),
    )
});

fn record(test: &str) -> &'static Record {
    &RUN.records[&format!("explorations::{test}")]
}

#[track_caller]
fn passed(test: &str) {
    assert_eq!(record(test).verdict, Verdict::Passed, "{test}");
}

/// Checks that the test failed with an error that contains all `words`.
#[track_caller]
fn failed(test: &str, words: &[&str]) {
    let Verdict::Failed { message } = &record(test).verdict else {
        panic!("{test}: {:?}", record(test).verdict);
    };
    for word in words {
        assert!(message.contains(word), "{test}: no {word:?} in {message}");
    }
}

/// Returns the number of crash points of each call, and the calls themselves.
fn explored(test: &str) -> (Vec<usize>, Vec<ExploredCall>) {
    let mut events = record(test).timeline.iter();
    let calls = events.find_map(|event| match &event.kind {
        EventKind::Explored { calls, .. } => Some(calls.clone()),
        _ => None,
    });
    let calls = calls.unwrap_or_else(|| panic!("{test}: {:?}", record(test).timeline));
    (calls.iter().map(|call| call.points).collect(), calls)
}

#[test]
fn call_that_breaks_the_invariant_is_marked() {
    let (points, calls) = explored("in_place");
    assert_eq!(points, [1, 1], "{calls:?}");
    assert_eq!(
        calls
            .iter()
            .map(|call| call.invariant_broken)
            .collect::<Vec<_>>(),
        [false, true]
    );
    // The exploration ends at the fourth of five calls. The fifth call is neither reached nor
    // exempt.
    let (points, later) = explored("two_files_without_order");
    assert_eq!(points.last(), Some(&0), "{later:?}");
    assert!(!later.last().unwrap().exempt, "{later:?}");
    let (_, calls) = explored("without_sync");
    let broke: Vec<_> = calls.iter().filter(|call| call.invariant_broken).collect();
    assert!(
        broke
            .iter()
            .any(|call| call.call == "write of 27 bytes at 0 of draft"),
        "{calls:?}"
    );
}

#[test]
fn right_way_to_save_a_file_survives_every_crash() {
    passed("the_right_way");
    passed("a_popular_crate");
    passed("by_a_task");
    passed("by_io_uring");
    // The calls that create, write and rename are crash points. The sync calls are not.
    let (points, calls) = explored("the_right_way");
    assert_eq!(points, [1, 1, 0, 1, 0], "{calls:?}");
    assert!(calls.iter().all(|call| !call.invariant_broken), "{calls:?}");
    let spared: Vec<_> = calls.iter().map(|call| call.exempt).collect();
    assert_eq!(spared, [false, false, true, false, true], "{calls:?}");
}

#[test]
fn wrong_ways_to_save_a_file_are_reported_with_the_call() {
    failed(
        "in_place",
        &[
            "died in the place of call 2 of 2, write of 27 bytes at 0 of current",
            "explorations.rs:",
            r#"found """#,
        ],
    );
    failed(
        "without_sync",
        &[
            "the power failed before",
            "nothing had synced it: call 2 of 4, write of 27 bytes at 0 of draft",
        ],
    );
    failed(
        "sync_after_rename",
        &[
            "the power failed before call 4 of 5, fsync of current",
            "nothing had synced it: call 2 of 5, write",
            "explorations::sync_after_rename",
        ],
    );
    failed(
        "without_sync_of_the_folder",
        &[
            "after the operation had returned success",
            "nothing had synced it: call 4 of 4, rename of draft to current",
            "explorations::publish",
        ],
    );
    failed(
        "from_another_file_system",
        &["died in the place of call 3 of", "of current"],
    );
    failed(
        "two_files_without_order",
        &[
            "died in the place of call 4 of 5, openat of 2",
            "explorations::two_files_without_order",
        ],
    );
}

#[test]
fn errors_have_call_location_state_and_message() {
    passed("errors::of_a_process_death");
    passed("errors::of_a_power_loss");
    passed("errors::of_a_failed_call");
    passed("errors::of_an_unsupported_call");
}

#[test]
fn wrong_twin_is_broken_and_right_twin_passes() {
    for pair in [
        "draft_without_sync",
        "length_set_before_the_bytes",
        "mark_at_the_start_of_a_long_write",
        "name_after_fdatasync_of_another_file",
        "name_after_link_and_fdatasync",
        "name_after_rename_and_fdatasync",
        "page_with_commit_mark_in_one_write",
        "page_with_commit_mark_in_writev",
        "record_across_the_border_of_a_sector",
        "text_appended_to_a_new_file",
    ] {
        passed(&format!("durability::{pair}"));
    }
}

#[test]
fn crash_during_recovery_is_explored_on_request() {
    passed("recoveries::log_truncated_before_the_snapshot");
    passed("recoveries::snapshot_without_sync_during_recovery");
    passed("recoveries::unsynced_record_after_the_death_of_the_process");
    passed("recoveries::crash_during_recovery_is_reported");
    passed("recoveries::reading_invariant_has_no_recovery");
    passed("recoveries::crash_during_recovery_after_a_failure");
}

#[test]
fn large_operations_need_few_states_and_little_memory() {
    passed("large::sparse_journal");
    passed("large::unsynced_appends");
}

#[test]
fn modes_links_and_times_are_explored_as_they_are() {
    passed("durability::modes_links_and_times_are_kept");
    passed("durability::file_without_permissions_is_kept");
}

#[test]
fn power_loss_models_differ_in_the_states_they_allow() {
    passed("names_by_another_sync_on_ext4");
    failed(
        "names_by_another_sync_on_btrfs",
        &["nothing had synced it: call 4 of 6, rename of draft to current"],
    );
}

#[test]
fn threads_and_programs_of_the_operation_are_followed() {
    passed("by_threads");
    failed(
        "by_another_program",
        &["rename of copy to current", "No such file"],
    );
    passed("by_a_program_that_becomes_another");
    passed("a_daemon_goes_on");
}

#[test]
fn ignored_errors_of_calls_are_found() {
    passed("failures::errors_are_reported");
    failed(
        "failures::errors_are_overlooked",
        &[
            "write of 27 bytes at 0 of draft",
            "Input/output error",
            "the operation returned success",
        ],
    );
    passed("failures::interrupted_calls_are_made_again");
}

#[test]
fn acknowledgements_are_counted_up_to_the_crash() {
    passed("acknowledgements::acknowledgement_before_the_sync");
    passed("acknowledgements::death_before_the_acknowledgement");
}

#[test]
fn sync_after_a_failed_sync_brings_nothing() {
    passed("failed_syncs::sync_of_a_file_is_tried_again");
    passed("failed_syncs::sync_of_a_directory_is_tried_again");
    passed("failed_syncs::sync_is_interrupted");
}

#[test]
fn termination_of_the_operation_leaves_faults_in_effect() {
    passed("failures::termination_of_the_operation_undoes_no_fault");
}

#[test]
fn cause_of_a_failed_call_can_last() {
    failed(
        "failures::second_error_is_ignored",
        &[
            "write of 27 bytes at the end of log",
            "No space left on device",
            "and so did later calls",
            "the operation returned success",
        ],
    );
    passed("failures::second_error_is_returned");
    passed("failures::space_comes_from_a_removed_file");
    passed("failures::descriptor_comes_from_a_closed_file");
}

#[test]
fn operation_that_cannot_be_explored_fails() {
    failed(
        "refused::it_fails_anyway",
        &["without an injected failure, the operation returned: no such luck"],
    );
    failed(
        "refused::another_way_each_time",
        &["other calls each time", "did not come again"],
    );
    failed(
        "refused::with_a_socket",
        &["not explorable: socket is a device, a FIFO or a socket"],
    );
    failed(
        "refused::with_a_huge_file",
        &["a file longer than 1 GiB", "ftruncate of file"],
    );
    failed("refused::elsewhere", &["does nothing in the directory"]);
    failed("refused::beside_a_thread", &["`busy`"]);
    failed(
        "refused::beside_a_thread_with_the_name_of_ours",
        &["`clarity-chaos`"],
    );
    failed(
        "refused::beside_a_thread_with_a_cut_name",
        &["`fourteen bytes"],
    );
    failed(
        "refused::its_check_never_ends",
        &[
            "in the place of call 2 of",
            "its check did not end: no end within ",
        ],
    );
    failed(
        "refused::it_never_ends_after_an_error",
        &[
            "and so did later calls: the operation does not end",
            "it did not end within ",
        ],
    );
    failed(
        "refused::its_check_panics",
        &["assertion failed: never true"],
    );
}

#[test]
fn exploration_inside_an_exploration_is_skipped_with_reason() {
    passed("refused::where_calls_are_watched_already");
}

#[test]
fn exploration_in_a_thread_is_skipped_with_reason() {
    let test = "explorations::the_right_way";
    let ran = suite().run(["--exact", test, "--isolation", "thread"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    let Verdict::Skipped { reason } = &ran.records[test].verdict else {
        panic!("{:?}", ran.records[test].verdict);
    };
    assert!(reason.contains("no process of its own"), "{reason}");
}
