//! A paused clock that advances while a socket has unread bytes.

use crate::suite;
use clarity_chaos::{EventKind, Record, Verdict};
use clarity_chaos_conformance::RunOutput;
use std::sync::LazyLock;

static RUN: LazyLock<RunOutput> = LazyLock::new(|| suite().run(["paused_sockets::"]));

fn record(test: &str) -> &'static Record {
    &RUN.records[&format!("paused_sockets::{test}")]
}

#[track_caller]
fn assert_passed(test: &str) {
    let record = record(test);
    assert_eq!(record.verdict, Verdict::Passed, "{:?}", record.timeline);
}

/// Returns the lines between the test's header in the failure report and the command to repeat it.
fn story(test: &str) -> &'static str {
    let header = format!("---- paused_sockets::{test} ----\n");
    let (_, story) = RUN.stdout.split_once(&header).unwrap();
    story.split_once("\n  again:\n").unwrap().0
}

#[test]
fn timeout_with_unread_bytes_fails_by_name() {
    let Verdict::Failed { message } = &record("timeout_with_unread_bytes").verdict else {
        panic!("the timeout elapsed, and the test passed");
    };
    for part in [
        "the paused clock advanced by itself",
        "tcp 127.0.0.1:",
        "had 5 unread bytes",
        "clock = \"manual\"",
        "allow_unread_bytes",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn sleep_with_unread_datagram_fails_by_name() {
    let Verdict::Failed { message } = &record("sleep_with_unread_datagram").verdict else {
        panic!("the sleep elapsed, and the test passed");
    };
    assert!(message.contains("udp bound to 127.0.0.1:"), "{message}");
    assert!(message.contains("had 8 unread bytes"), "{message}");
}

#[test]
fn own_failure_with_unread_bytes_names_the_socket() {
    let Verdict::Failed { message } = &record("fails_with_unread_bytes").verdict else {
        panic!("the test passed");
    };
    assert!(message.starts_with("deadline has elapsed"), "{message}");
    let story = story("fails_with_unread_bytes");
    let (_, hint) = story.split_once("\n  hint:\n").unwrap();
    assert!(hint.contains("unix, unnamed had 5 unread bytes"), "{hint}");
    assert!(hint.contains("clock = \"manual\""), "{hint}");
}

#[test]
fn event_names_the_socket_once() {
    let events = record("timeout_with_unread_bytes").timeline.iter();
    let unread: Vec<u64> = events
        .filter_map(|event| match event.kind {
            EventKind::AutoAdvanced { unread_bytes, .. } => Some(unread_bytes),
            _ => None,
        })
        .collect();
    assert_eq!(unread, [5]);
}

#[test]
fn bytes_that_are_read_before_never_fail() {
    for _ in 0..20 {
        let verdict = suite().verdict_of("paused_sockets::bytes_are_read_before_sleeps");
        assert_eq!(verdict, Verdict::Passed);
    }
}

#[test]
fn unread_bytes_that_are_allowed_pass() {
    for _ in 0..20 {
        let verdict = suite().verdict_of("paused_sockets::slow_reader_leaves_bytes");
        assert_eq!(verdict, Verdict::Passed);
    }
}

#[test]
fn clock_that_does_not_advance_by_itself_may_leave_bytes() {
    assert_passed("advances_itself_with_unread_bytes");
    assert_passed("manual_clock_with_unread_bytes");
    assert_passed("real_time_with_unread_bytes");
}

#[test]
fn bytes_outside_of_the_runtime_and_ends_of_streams_pass() {
    assert_passed("unread_bytes_outside_of_the_runtime");
    assert_passed("unread_end_of_stream");
}

#[test]
fn failure_after_an_advance_with_sockets_gets_a_hint() {
    let story = story("fails_without_an_answer");
    let (_, hint) = story.split_once("\n  hint:\n").unwrap();
    assert!(hint.contains("while 2 sockets were open"), "{hint}");
    assert!(hint.contains("clock = \"manual\""), "{hint}");
    assert!(!self::story("fails_without_sockets").contains("\n  hint:\n"));
}
