//! Common mistakes get a hint in the report, and other failures get none.

use crate::suite;
use clarity_chaos_conformance::RunOutput;
use std::sync::LazyLock;

static RUN: LazyLock<RunOutput> = LazyLock::new(|| {
    suite().run([
        "clocks::",
        "hangs::",
        "endings::fails",
        "endings::waits_forever",
    ])
});

/// Returns the line below `hint:` in the test's failure report, if there is a hint.
fn hint(test: &str) -> Option<&'static str> {
    let (_, story) = RUN
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
        RUN.stdout
    );
}

#[test]
fn wait_for_the_wrong_clock_gets_a_hint() {
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
fn blocking_the_only_thread_gets_a_hint() {
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
fn blocking_task_gets_a_hint_unless_it_may_block() {
    hints_at(
        "hangs::in_a_task",
        "a thread of the runtime is in clock_nanosleep",
    );
    assert_eq!(hint("hangs::in_a_blocking_task"), None);
}

#[test]
fn deadlock_gets_a_hint() {
    hints_at("hangs::in_a_deadlock", "all of its threads wait for locks");
}

#[test]
fn other_failures_get_no_hint() {
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
