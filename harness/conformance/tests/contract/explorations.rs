//! What exploring an operation finds, and what it does not let pass.

use crate::suite;
use clarity_chaos::{ExploredCall, Record, Verdict, What};
use clarity_chaos_conformance::Ran;
use std::sync::LazyLock;

static RAN: LazyLock<Ran> = LazyLock::new(|| suite().run(["explorations::"]));

fn record(test: &str) -> &'static Record {
    &RAN.records[&format!("explorations::{test}")]
}

#[track_caller]
fn passed(test: &str) {
    assert_eq!(record(test).verdict, Verdict::Passed, "{test}");
}

/// The test's error, which must say all of this.
#[track_caller]
fn failed(test: &str, words: &[&str]) {
    let Verdict::Failed { message } = &record(test).verdict else {
        panic!("{test}: {:?}", record(test).verdict);
    };
    for word in words {
        assert!(message.contains(word), "{test}: no {word:?} in {message}");
    }
}

/// How often each call of the operation was cut off, and these calls.
fn explored(test: &str) -> (Vec<usize>, Vec<ExploredCall>) {
    let mut events = record(test).timeline.iter();
    let calls = events.find_map(|event| match &event.what {
        What::Explored { each, .. } => Some(each.clone()),
        _ => None,
    });
    let calls = calls.unwrap_or_else(|| panic!("{test}: {:?}", record(test).timeline));
    (calls.iter().map(|call| call.points).collect(), calls)
}

#[test]
fn the_call_that_breaks_the_invariant_is_marked_among_the_others() {
    let (points, calls) = explored("in_place");
    assert_eq!(points, [1, 1], "{calls:?}");
    assert_eq!(
        calls.iter().map(|call| call.broke).collect::<Vec<_>>(),
        [false, true]
    );
    let (_, calls) = explored("without_sync");
    let broke: Vec<_> = calls.iter().filter(|call| call.broke).collect();
    // It ends at the third of five: the others were not reached, which is something else than being none.
    let (points, later) = explored("two_files_without_order");
    assert_eq!(points.last(), Some(&0), "{later:?}");
    assert!(!later.last().unwrap().is_spared, "{later:?}");
    assert!(
        broke
            .iter()
            .any(|call| call.call == "write of 27 bytes at 0 of draft"),
        "{calls:?}"
    );
}

#[test]
fn the_right_way_to_save_a_file_holds_everywhere() {
    passed("the_right_way");
    passed("a_popular_crate");
    passed("by_a_task");
    passed("by_io_uring");
    // Made, written, moved; the syncs are no points of their own.
    let (points, calls) = explored("the_right_way");
    assert_eq!(points, [1, 1, 0, 1, 0], "{calls:?}");
    assert!(calls.iter().all(|call| !call.broke), "{calls:?}");
    let spared: Vec<_> = calls.iter().map(|call| call.is_spared).collect();
    assert_eq!(spared, [false, false, true, false, true], "{calls:?}");
}

#[test]
fn each_wrong_way_is_found_with_the_call_that_breaks_it() {
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
fn the_model_of_the_loss_of_power_makes_a_difference() {
    passed("without_sync_on_ext4");
    failed(
        "a_new_file_without_sync_on_ext4",
        &["nothing had synced it: call 2 of 4, write"],
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
fn failures_of_calls_that_are_overlooked_are_found() {
    passed("errors_are_told");
    failed(
        "errors_are_overlooked",
        &[
            "write of 27 bytes at 0 of draft",
            "Input/output error",
            "the operation returned success",
        ],
    );
    passed("interrupted_calls_are_made_again");
}

#[test]
fn what_cannot_be_explored_does_not_pass() {
    failed(
        "through_a_mapping",
        &["not explorable: a shared mapping", "mmap of current"],
    );
    failed("it_fails_anyway", &["when it is left alone: no such luck"]);
    failed(
        "another_way_each_time",
        &["other calls each time", "did not come again"],
    );
    failed("elsewhere", &["does nothing in the directory"]);
    failed("beside_a_thread", &["`busy`"]);
    failed("its_check_panics", &["assertion failed: never true"]);
}

#[test]
fn where_calls_are_watched_by_somebody_else_the_test_is_skipped_with_the_reason() {
    passed("where_calls_are_watched_already");
}

#[test]
fn without_a_process_of_its_own_the_test_is_skipped_with_the_reason() {
    let test = "explorations::the_right_way";
    let ran = suite().run(["--exact", test, "--isolation", "thread"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    let Verdict::Skipped { reason } = &ran.records[test].verdict else {
        panic!("{:?}", ran.records[test].verdict);
    };
    assert!(reason.contains("no process of its own"), "{reason}");
}
