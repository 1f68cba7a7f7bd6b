//! Common mistakes are recognised, and nothing else is taken for one.

use crate::suite;
use clarity_chaos_conformance::Ran;
use std::sync::LazyLock;

static RAN: LazyLock<Ran> = LazyLock::new(|| {
    suite().run([
        "clocks::",
        "hangs::",
        "endings::fails",
        "endings::waits_forever",
    ])
});

/// What stands under *hint* in the story of the test's failure.
fn hint(test: &str) -> Option<&'static str> {
    let (_, story) = RAN
        .stdout
        .split_once(&format!("---- {test} ----\n"))
        .unwrap();
    let (story, _) = story.split_once("\n  again:\n").unwrap();
    let (_, rest) = story.split_once("\n  hint:\n")?;
    rest.lines().next()
}

#[track_caller]
fn hints_at(test: &str, words: &str) {
    let hint = hint(test);
    assert!(
        hint.is_some_and(|hint| hint.contains(words)),
        "{hint:?}\n{}",
        RAN.stdout
    );
}

#[test]
fn waiting_for_the_wrong_clock_is_recognised() {
    hints_at("clocks::sleeps_for_real", "use `tokio::time::sleep`");
    hints_at(
        "clocks::waits_for_a_timer",
        "only when the test calls `cx.clock().advance(…)`",
    );
    hints_at(
        "clocks::has_a_peer_outside",
        "with such peers, use `clock = \"manual\"`",
    );
}

#[test]
fn blocking_the_only_thread_is_recognised() {
    hints_at(
        "clocks::accepts_on_the_only_thread",
        "runs all tasks is in accept4 of socket:[",
    );
    hints_at(
        "clocks::sleeps_for_a_while",
        "of real time, while no task could run",
    );
}

#[test]
fn blocking_a_thread_of_the_runtime_is_recognised_and_blocking_where_that_is_allowed_is_not() {
    hints_at(
        "hangs::in_a_task",
        "a thread of the runtime is in clock_nanosleep",
    );
    assert_eq!(hint("hangs::in_a_blocking_task"), None);
}

#[test]
fn a_deadlock_is_recognised() {
    hints_at("hangs::in_a_deadlock", "all of its threads wait for locks");
}

#[test]
fn other_failures_are_left_to_speak_for_themselves() {
    for test in [
        "endings::fails",
        "endings::waits_forever",
        "hangs::in_read",
        "hangs::in_accept",
        "hangs::in_a_child",
    ] {
        assert_eq!(hint(test), None, "{test}");
    }
}
