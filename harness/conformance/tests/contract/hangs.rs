//! A timeout's report names the system calls in which the threads hang.

use crate::suite;
use clarity_chaos::{HungThread, Record, Verdict};
use clarity_chaos_conformance::RunOutput;
use std::sync::LazyLock;

static RUN: LazyLock<RunOutput> =
    LazyLock::new(|| suite().run(["hangs::", "--keep-dirs", "never"]));

fn record(test: &str) -> &'static Record {
    let record = &RUN.records[&format!("hangs::{test}")];
    assert_eq!(record.verdict, Verdict::TimedOut { limit_ms: 1000 });
    record
}

/// Returns the thread called `name`. The kernel keeps only 15 bytes of a name.
fn thread(record: &'static Record, name: &str) -> &'static HungThread {
    let name: String = name.chars().take(15).collect();
    let found = record
        .hung_threads
        .iter()
        .find(|thread| thread.thread == name);
    found.unwrap_or_else(|| panic!("no {name}: {:?}", record.hung_threads))
}

#[test]
fn hung_system_call_is_reported_with_its_descriptor() {
    let call = thread(record("in_accept"), "hangs::in_accept");
    assert!(call.state == "sleeping", "{call}");
    let printed = call.system_call.as_deref().unwrap();
    assert!(printed.starts_with("accept4 of socket:["), "{printed}");
    assert!(printed.contains("tcp listening on 127.0.0.1:"), "{printed}");
    let printed = thread(record("in_read"), "hangs::in_read").to_string();
    assert!(printed.contains("read of pipe:["), "{printed}");
}

#[test]
fn deadlock_is_reported_with_both_threads() {
    let record = record("in_a_deadlock");
    for name in ["hangs::in_a_deadlock", "other-side"] {
        let call = thread(record, name).system_call.as_deref();
        assert_eq!(call, Some("futex"), "{name}");
    }
}

#[test]
fn awaited_child_is_reported_with_its_command_line() {
    let record = record("in_a_child");
    let child = record
        .hung_threads
        .iter()
        .find(|thread| thread.process.is_some());
    let child = child.unwrap_or_else(|| panic!("{:?}", record.hung_threads));
    assert_eq!(child.process.as_deref(), Some("sleep 1000"));
    assert!(child.to_string().contains("nanosleep"), "{child}");
}

#[test]
fn hung_call_is_in_the_report_of_the_failure() {
    record("in_read");
    assert!(
        RUN.stdout
            .contains("threads when the test was asked to end:")
    );
    assert!(
        RUN.stdout.contains("sleeping in read of pipe:["),
        "{}",
        RUN.stdout
    );
}
