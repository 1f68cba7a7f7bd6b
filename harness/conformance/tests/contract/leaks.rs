//! Leaks are found and named, and tests without leaks pass.

use crate::suite;
use clarity_chaos::{EventKind, Record, Verdict};
use clarity_chaos_conformance::RunOutput;
use clarity_chaos_conformance::limits::{output_of, skip};
use std::sync::LazyLock;

static RUN: LazyLock<RunOutput> =
    LazyLock::new(|| suite().run(["leaks::", "--keep-dirs", "never"]));

fn record(test: &str) -> &'static Record {
    let name = format!("leaks::{test}");
    RUN.records
        .get(&name)
        .unwrap_or_else(|| panic!("{name} has not run: {}", RUN.stderr))
}

/// Returns the leak in the test's verdict. Fails unless the verdict has exactly one leak.
#[track_caller]
fn only_leak(test: &str) -> &'static str {
    match &record(test).verdict {
        Verdict::Leaked { leaked } if leaked.len() == 1 => &leaked[0],
        other => panic!("{test}: {other:?}"),
    }
}

#[test]
fn leaked_thread_is_named() {
    assert_eq!(only_leak("a_thread"), "thread `left-running`");
    // The thread's name comes from Tokio. The blocked runtime leaks descriptors, too, so the
    // verdict has several leaks.
    assert_eq!(record("a_blocking_task").leaks.threads, ["tokio-rt-worker"]);
    assert!(record("a_blocking_task").verdict.is_failure());
}

#[test]
fn leaked_descriptor_is_named_with_its_file_or_socket() {
    let file = only_leak("a_file_descriptor");
    assert!(file.starts_with("descriptor `"), "{file}");
    assert!(file.ends_with("/dir/left open`"), "{file}");
    let listener = only_leak("a_listener");
    assert!(
        listener.contains("tcp listening on 127.0.0.1:"),
        "{listener}"
    );
    let Verdict::Leaked { leaked } = &record("a_socket_pair").verdict else {
        panic!("{:?}", record("a_socket_pair").verdict);
    };
    assert_eq!(leaked.len(), 2, "{leaked:?}");
    assert!(leaked[0].contains("unix, unnamed"), "{leaked:?}");
}

#[test]
fn forked_daemon_is_named_by_its_name() {
    let daemon = only_leak("a_forked_daemon");
    assert_eq!(daemon, "process `own-daemon, a fork of the test's process`");
    let fork = only_leak("a_fork");
    assert_eq!(
        fork,
        "process `leaks::a_fork, a fork of the test's process`"
    );
    let hung = &record("hangs_with_a_forked_daemon").hung_threads;
    let of_daemon = hung.iter().find(|thread| thread.thread == "own-daemon");
    let process = of_daemon.and_then(|thread| thread.process.as_deref());
    assert_eq!(
        process,
        Some("own-daemon, a fork of the test's process"),
        "{hung:?}"
    );
}

#[test]
fn leaked_file_outside_of_the_test_directory_is_named() {
    assert_eq!(only_leak("a_temporary_file"), "file `tmp/left-behind`");
    assert_eq!(only_leak("a_temporary_folder"), "file `tmp/left-behind`");
    if !record("shared_memory").sandbox.metadata.enforced {
        return skip("without a mount namespace /dev/shm is shared with other processes");
    }
    assert_eq!(only_leak("shared_memory"), "file `/dev/shm/left-behind`");
}

#[test]
fn leaks_of_unmarked_test_are_recorded_and_it_passes() {
    let record = record("everything_and_may");
    assert_eq!(record.verdict, Verdict::Passed);
    let leaks = &record.leaks;
    assert_eq!(leaks.threads, ["left-running"]);
    assert_eq!(leaks.descriptors.len(), 1, "{leaks:?}");
    assert_eq!(leaks.lines().count(), 3, "{leaks:?}");
}

#[test]
fn declared_leaks_are_excused_and_no_others() {
    let declared = record("declared");
    assert_eq!(declared.verdict, Verdict::Passed);
    assert_eq!(declared.leaks.allowed.len(), 3, "{:?}", declared.leaks);
    assert_eq!(declared.leaks.lines().count(), 0);
    assert_eq!(only_leak("half_declared"), "thread `another`");
}

#[test]
fn test_without_leaks_is_not_blamed() {
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
        let output = output_of(&mut command);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{sandbox}: {printed}");
        let records = suite.records();
        let second = &records["neighbours::two_finds_nothing_of_it"];
        // The directory of a worker outside of the sandbox has a name of its own.
        let places = ["/1/work/", "/1o/work/"];
        let is_place = |text: &str| places.iter().any(|place| text.contains(place));
        let ran_in_the_same_place = second
            .timeline
            .iter()
            .any(|event| matches!(&event.kind, EventKind::Note { text } if is_place(text)));
        assert!(ran_in_the_same_place, "{:?}", second.timeline);
        assert_eq!(std::fs::read_dir(suite.tmp()).unwrap().count(), 0);
    }
}
