//! The harness ends the processes of a test when the test or the runner ends.

use super::{until, until_or};
use crate::suite;
use clarity_chaos::{EventKind, Record, Verdict};
use clarity_chaos_conformance::Suite;
use clarity_chaos_conformance::limits::{wait, wait_with_output};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

/// Runs one test, and returns its record.
///
/// Checks that the number of the test's notes is `processes`. Also checks that no process of the
/// suite remains.
fn run(suite: &Suite, test: &str, sandbox: &str, processes: usize) -> Record {
    let mut ran = suite.run(["--exact", test, "--sandbox", sandbox, "--grace", "100ms"]);
    let record = ran.records.remove(test);
    let record = record.unwrap_or_else(|| panic!("{test} has no record: {}", ran.stderr));
    let notes = record
        .timeline
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Note { .. }));
    assert_eq!(notes.count(), processes, "{record:?}");
    assert_eq!(suite.processes(), [], "{test}, sandbox {sandbox}");
    record
}

/// The values of `--sandbox` that the tests are run with.
const SANDBOXES: [&str; 2] = ["none", "all"];

#[test]
fn leaked_child_or_daemon_is_named_and_ended() {
    for sandbox in SANDBOXES {
        for test in ["processes::leaves_a_child", "processes::leaves_a_daemon"] {
            let record = run(&suite(), test, sandbox, 1);
            let leaked = vec!["process `sleep 1000`".to_owned()];
            assert_eq!(record.verdict, Verdict::Leaked { leaked }, "{test}");
            assert_eq!(record.leaks.processes, ["sleep 1000"]);
        }
    }
}

#[test]
fn leak_of_unmarked_test_is_recorded_and_ended() {
    for sandbox in SANDBOXES {
        let record = run(&suite(), "processes::leaves_a_child_and_may", sandbox, 1);
        assert_eq!(record.verdict, Verdict::Passed);
        assert_eq!(record.leaks.processes, ["sleep 1000"]);
    }
}

#[test]
fn child_that_is_ending_is_no_leak() {
    for sandbox in SANDBOXES {
        let record = run(
            &suite(),
            "processes::ends_its_child_without_waiting",
            sandbox,
            1,
        );
        assert_eq!(record.verdict, Verdict::Passed);
    }
}

#[test]
fn hung_test_is_ended_with_children_that_ignore_sigterm() {
    for sandbox in SANDBOXES {
        let record = run(
            &suite(),
            "processes::hangs_with_a_stubborn_tree",
            sandbox,
            2,
        );
        assert_eq!(record.verdict, Verdict::TimedOut { limit_ms: 1000 });
    }
}

#[test]
fn children_of_aborted_test_are_ended() {
    for sandbox in SANDBOXES {
        let record = run(&suite(), "processes::aborts_with_a_child", sandbox, 1);
        assert_eq!(record.verdict, Verdict::Killed { signal: 6 });
    }
}

#[test]
fn killed_runner_leaves_no_process_and_no_directory() {
    for sandbox in SANDBOXES {
        let suite = suite();
        let mut runner = suite
            .command()
            .args([
                "--exact",
                "processes::hangs_and_says_so",
                "--sandbox",
                sandbox,
            ])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until(|| suite.timeline_contains("hanging now"));
        runner.kill().unwrap();
        assert_eq!(wait(&mut runner).signal(), Some(9));
        until(|| suite.processes().is_empty());
        until(|| is_empty(&suite.tmp()));
    }
}

fn kill(pid: u32) {
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.unwrap().success(), "process {pid} has already ended");
}

#[test]
fn killed_supervisor_loses_its_case_and_is_replaced() {
    for sandbox in SANDBOXES {
        let suite = suite();
        let report = suite.tmp().join("report.xml");
        let runner = suite
            .command()
            .args(["--exact", "processes::hangs_and_says_so", "tags::model"])
            .args(["--test-threads", "1", "--keep-dirs", "never"])
            .args(["--sandbox", sandbox, "--junit", report.to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        until(|| suite.timeline_contains("hanging now"));
        let processes = suite.processes();
        let supervisor = processes.iter().map(|(pid, _)| *pid).filter(|pid| {
            let parent = parent_of(*pid);
            parent == Some(runner.id())
        });
        kill(supervisor.min().unwrap());
        if sandbox == "none" {
            // In the sandbox, the kernel ends the child together with the supervisor. Without the
            // sandbox, this test must kill the child.
            let child = processes.iter().find(|(_, line)| line.contains("sleep"));
            kill(child.unwrap().0);
        }

        let output = wait_with_output(runner);
        assert_eq!(output.status.code(), Some(101));
        let ran = suite.records();
        let Verdict::Lost { error } = &ran["processes::hangs_and_says_so"].verdict else {
            panic!("{:?}", ran["processes::hangs_and_says_so"].verdict);
        };
        assert!(error.contains("signal: 9"), "{error}");
        assert_eq!(ran["tags::model"].verdict, Verdict::Passed);
        // JUnit counts a failure of the harness as an error, not as a failure.
        let report = fs::read_to_string(report).unwrap();
        assert!(report.contains(r#"failures="0" errors="1""#), "{report}");
        until(|| suite.processes().is_empty());
    }
}

/// Returns the parent of a running process.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(1)?.parse().ok()
}

/// Whether a directory is empty or missing.
fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none())
}

#[test]
fn leaked_grandchild_is_named_with_its_parent() {
    let record = run(&suite(), "processes::leaves_a_grandchild", "marked", 1);
    assert_eq!(record.leaks.processes.len(), 2, "{:?}", record.leaks);
    assert!(record.leaks.processes.contains(&"sleep 1000".to_owned()));
}

#[test]
fn many_daemons_are_ended() {
    for sandbox in SANDBOXES {
        let record = run(&suite(), "processes::leaves_a_storm", sandbox, 1);
        assert!(matches!(record.verdict, Verdict::Leaked { .. }));
        assert!(record.leaks.processes.len() >= 50, "{:?}", record.leaks);
    }
}

#[test]
fn children_of_hung_test_get_sigterm_first() {
    for sandbox in SANDBOXES {
        let suite = suite();
        let test = "processes::hangs_with_a_polite_child";
        let mut ran = suite.run(["--exact", test, "--grace", "20s", "--sandbox", sandbox]);
        let record = ran.records.remove(test).unwrap();
        assert_eq!(record.verdict, Verdict::TimedOut { limit_ms: 2000 });
        assert!(record.output.text.contains("the child was asked\n"));
    }
}

/// Lists all paths below a directory, one per line.
fn list(directory: &Path) -> String {
    let mut listed = String::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        listed.push_str(&format!("{}\n", entry.path().display()));
        listed.push_str(&list(&entry.path()));
    }
    listed
}

/// Ends 24 runs, each at a different time. The times are spread evenly over a whole run.
#[test]
fn runner_ended_at_any_moment_leaves_no_directory() {
    const ROUNDS: u32 = 24;
    let began = Instant::now();
    suite().run(["tags", "test_environment", "--test-threads", "2"]);
    let whole = began.elapsed();
    let mut cut_short = 0;
    for round in 0..ROUNDS {
        let suite = suite();
        let mut runner = suite
            .command()
            .args(["tags", "test_environment", "--test-threads", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // This sleep waits for no event: its duration is the test's input.
        let after = whole * round / ROUNDS;
        thread::sleep(after);
        let had_directory = !is_empty(&suite.tmp());
        let signal = ["-KILL", "-TERM", "-INT"][usize::try_from(round % 3).unwrap()];
        let pid = runner.id().to_string();
        // `kill` fails if the run is already over.
        let _ = Command::new("kill")
            .args([signal, &pid])
            .stderr(Stdio::null())
            .status();
        let ended = wait(&mut runner);
        cut_short += u32::from(had_directory && !ended.success());
        // A runner that is killed early leaves a directory. The next run removes that directory.
        let next = suite.run(["tags::model"]);
        let all_gone = || is_empty(&suite.tmp());
        let printed = || {
            format!(
                "{signal} after {after:?}: {}\n{}",
                list(&suite.tmp()),
                next.stderr
            )
        };
        until_or(all_gone, printed);
    }
    assert!(cut_short > 0, "every run was over before its signal came");
}
