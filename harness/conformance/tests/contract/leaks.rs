//! What a test leaves behind is found and named, and nobody is blamed for nothing.

use crate::suite;
use clarity_chaos::{Record, Verdict, What};
use clarity_chaos_conformance::Ran;
use std::sync::LazyLock;

static RAN: LazyLock<Ran> = LazyLock::new(|| suite().run(["leaks::", "--keep-dirs", "never"]));

fn record(test: &str) -> &'static Record {
    let name = format!("leaks::{test}");
    RAN.records
        .get(&name)
        .unwrap_or_else(|| panic!("{name} has not run: {}", RAN.stderr))
}

/// The one thing that the test is blamed for.
#[track_caller]
fn only_leak(test: &str) -> &'static str {
    match &record(test).verdict {
        Verdict::Leaked { what } if what.len() == 1 => &what[0],
        other => panic!("{test}: {other:?}"),
    }
}

#[test]
fn a_thread_is_named() {
    assert_eq!(only_leak("a_thread"), "thread `left-running`");
    // Tokio's name for it; its runtime cannot close its descriptors either.
    assert_eq!(record("a_blocking_task").leaks.threads, ["tokio-rt-worker"]);
    assert!(record("a_blocking_task").verdict.is_failure());
}

#[test]
fn a_descriptor_is_told_with_what_it_is_open_on() {
    let file = only_leak("a_file_descriptor");
    assert!(file.starts_with("descriptor `"), "{file}");
    assert!(file.ends_with("/dir/left open`"), "{file}");
    let listener = only_leak("a_listener");
    assert!(
        listener.contains("tcp listening on 127.0.0.1:"),
        "{listener}"
    );
    let Verdict::Leaked { what } = &record("a_socket_pair").verdict else {
        panic!("{:?}", record("a_socket_pair").verdict);
    };
    assert_eq!(what.len(), 2, "{what:?}");
    assert!(what[0].contains("unix, unnamed"), "{what:?}");
}

#[test]
fn a_file_outside_of_the_tests_directory_is_named() {
    assert_eq!(only_leak("a_temporary_file"), "file `tmp/left-behind`");
    assert_eq!(only_leak("a_temporary_folder"), "file `tmp/left-behind`");
    if record("shared_memory").sandbox.metadata.enforced {
        assert_eq!(only_leak("shared_memory"), "file `/dev/shm/left-behind`");
    }
}

#[test]
fn a_test_that_never_promised_otherwise_passes_and_its_leaks_are_recorded() {
    let record = record("everything_and_may");
    assert_eq!(record.verdict, Verdict::Passed);
    assert_eq!(record.leaks.lines().count(), 3, "{:?}", record.leaks);
}

#[test]
fn what_is_declared_is_excused_and_nothing_else() {
    let declared = record("declared");
    assert_eq!(declared.verdict, Verdict::Passed);
    assert_eq!(declared.leaks.excused.len(), 3, "{:?}", declared.leaks);
    assert_eq!(declared.leaks.lines().count(), 0);
    assert_eq!(only_leak("half_declared"), "thread `another`");
}

#[test]
fn who_cleans_up_is_not_blamed() {
    for test in ["nothing", "nothing_async", "nothing_manual"] {
        let record = record(test);
        assert_eq!(record.verdict, Verdict::Passed, "{:?}", record.leaks);
        assert_eq!(record.leaks, clarity_chaos::Leaks::default());
    }
}

#[test]
fn leftovers_are_removed_before_the_next_test() {
    for sandbox in ["none", "all"] {
        let suite = suite();
        let mut command = suite.command();
        command
            .args(["neighbours::", "--keep-dirs", "never"])
            .args(["--test-threads", "1", "--sandbox", sandbox]);
        if sandbox == "all" {
            command.env("MISBEHAVING_SHARED_MEMORY", "/dev/shm");
        }
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{sandbox}: {told}");
        let records = suite.records();
        let second = &records["neighbours::two_finds_nothing_of_it"];
        let in_the_same_slot = second
            .timeline
            .iter()
            .any(|event| matches!(&event.what, What::Note { text } if text.contains("/1/work/")));
        assert!(in_the_same_slot, "{:?}", second.timeline);
        assert_eq!(std::fs::read_dir(suite.tmp()).unwrap().count(), 0);
    }
}
