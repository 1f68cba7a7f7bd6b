//! The harness works in containers, and under a caller that ignores signals.

use crate::suite;
use clarity_chaos::{Event, EventKind, Verdict};
use clarity_chaos_conformance::limits::{output_of, skip};
use std::process::Command;

/// The command that creates the namespaces of a container. The runner's session began outside the
/// container, so the session number in the container is 0.
const CONTAINER: [&str; 6] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--pid",
    "--fork",
    "--mount-proc",
];

/// Whether `CONTAINER` works on this machine. Also reports the test as skipped if `CONTAINER` does
/// not work.
pub(super) fn are_containers_possible() -> bool {
    let possible = Command::new(CONTAINER[0])
        .args(&CONTAINER[1..])
        .arg("true")
        .status()
        .is_ok_and(|status| status.success());
    if !possible {
        skip("user namespaces are not allowed");
    }
    possible
}

#[test]
fn session_from_outside_of_the_container_is_no_obstacle() {
    if !are_containers_possible() {
        return;
    }
    for sandbox in ["none", "all"] {
        let suite = suite().within(CONTAINER);
        let tests = ["endings::passes", "processes::leaves_a_child"];
        let mut ran = suite.run(["--exact", tests[0], tests[1], "--sandbox", sandbox]);
        let mut verdict_of = |test| match ran.records.remove(test) {
            Some(record) => record.verdict,
            None => panic!("no record of {test}: {}{}", ran.stdout, ran.stderr),
        };
        assert_eq!(verdict_of(tests[0]), Verdict::Passed, "{sandbox}");
        let leaked = vec!["process `sleep 1000`".to_owned()];
        assert_eq!(
            verdict_of(tests[1]),
            Verdict::Leaked { leaked },
            "{sandbox}"
        );
    }
}

/// The command that enters a container without capabilities. Like most containers, this container
/// hides parts of `/proc`.
///
/// In this container, the kernel refuses to mount another `/proc`.
const WITH_HIDDEN_PARTS: [&str; 7] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    r#"mount -t tmpfs none /proc/sys/kernel && exec setpriv --inh-caps=-all --bounding-set=-all "$0" "$@""#,
];

#[test]
fn visible_processes_are_still_out_of_reach() {
    if !are_containers_possible() {
        return;
    }
    let suite = suite().within(WITH_HIDDEN_PARTS);
    let test = "escapes::processes::runner_is_out_of_reach";
    let output = output_of(
        suite
            .command()
            .args(["--exact", test])
            .env("MISBEHAVING_RUNNER", std::process::id().to_string()),
    );
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    let record = &suite.records()[test];
    assert!(!record.sandbox.processes.enforced, "{:?}", record.sandbox);
    let is_refused =
        |event: &Event| matches!(&event.kind, EventKind::Note { text } if text == "signal: EPERM");
    assert!(record.timeline.iter().any(is_refused), "{printed}");
}

#[test]
fn signals_ignored_by_the_caller_still_work() {
    // `nohup` and some servers start child processes that ignore signals.
    let ignoring = ["env", "--ignore-signal=CHLD,TERM,INT,HUP"];
    for sandbox in ["none", "all"] {
        let suite = suite().within(ignoring);
        let tests = ["endings::passes", "processes::leaves_a_child_and_may"];
        let ran = suite.run(["--exact", tests[0], tests[1], "--sandbox", sandbox]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        // The test ends at the first SIGTERM, before the grace period of 30 seconds is over.
        let hang = "endings::spins_forever";
        let ran = suite.run(["--exact", hang, "--sandbox", sandbox, "--grace", "30s"]);
        let record = &ran.records[hang];
        assert_eq!(record.verdict, Verdict::TimedOut { limit_ms: 1000 });
        assert!(record.duration_us < 30_000_000, "{}", record.duration_us);
    }
}
