//! What hung, and where, is told with the timeout.

use crate::suite;
use clarity_chaos::{HungThread, Record, Verdict};
use clarity_chaos_conformance::Ran;
use std::sync::LazyLock;

static RAN: LazyLock<Ran> = LazyLock::new(|| suite().run(["hangs::", "--keep-dirs", "never"]));

fn record(test: &str) -> &'static Record {
    let record = &RAN.records[&format!("hangs::{test}")];
    assert_eq!(record.verdict, Verdict::TimedOut { limit_ms: 300 });
    record
}

/// The thread of that name; the system keeps 15 bytes of it.
fn thread(record: &'static Record, name: &str) -> &'static HungThread {
    let name: String = name.chars().take(15).collect();
    let found = record.hung.iter().find(|thread| thread.thread == name);
    found.unwrap_or_else(|| panic!("no {name}: {:?}", record.hung))
}

#[test]
fn a_thread_in_a_system_call_is_told_with_what_the_call_is_about() {
    let call = thread(record("in_accept"), "hangs::in_accept");
    assert!(call.state == "sleeping", "{call}");
    let told = call.system_call.as_deref().unwrap();
    assert!(told.starts_with("accept4 of socket:["), "{told}");
    assert!(told.contains("tcp listening on 127.0.0.1:"), "{told}");
    let told = thread(record("in_read"), "hangs::in_read").to_string();
    assert!(told.contains("read of pipe:["), "{told}");
}

#[test]
fn both_sides_of_a_deadlock_are_told() {
    let record = record("in_a_deadlock");
    for name in ["hangs::in_a_deadlock", "other-side"] {
        let call = thread(record, name).system_call.as_deref();
        assert_eq!(call, Some("futex"), "{name}");
    }
}

#[test]
fn a_child_that_is_waited_for_is_told_with_its_command_line() {
    let record = record("in_a_child");
    let child = record.hung.iter().find(|thread| thread.process.is_some());
    let child = child.unwrap_or_else(|| panic!("{:?}", record.hung));
    assert_eq!(child.process.as_deref(), Some("sleep 1000"));
    assert!(child.to_string().contains("nanosleep"), "{child}");
}

#[test]
fn it_stands_in_the_report_of_the_failure() {
    record("in_read");
    assert!(
        RAN.stdout
            .contains("what it was at when its end was asked for:")
    );
    assert!(
        RAN.stdout.contains("sleeping in read of pipe:["),
        "{}",
        RAN.stdout
    );
}
