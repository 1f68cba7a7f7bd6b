//! What tests start ends with them, and with the runner.

use super::{until, until_or};
use crate::suite;
use clarity_chaos::{Record, Verdict, What};
use clarity_chaos_conformance::Suite;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Runs one test of the suite, in the sandbox or not, and checks that it started processes and that none of them is left.
fn run(suite: &Suite, test: &str, sandbox: &str, processes: usize) -> Record {
    let mut ran = suite.run(["--exact", test, "--sandbox", sandbox, "--grace", "100ms"]);
    let record = ran.records.remove(test);
    let record = record.unwrap_or_else(|| panic!("{test} has no record: {}", ran.stderr));
    let notes = record
        .timeline
        .iter()
        .filter(|event| matches!(event.what, What::Note { .. }));
    assert_eq!(notes.count(), processes, "{record:?}");
    assert_eq!(suite.processes(), [], "{test}, sandbox {sandbox}");
    record
}

/// What holds with walls must hold without, and the other way round.
const SANDBOXES: [&str; 2] = ["none", "all"];

#[test]
fn a_child_or_daemon_left_behind_is_named_and_ended() {
    for sandbox in SANDBOXES {
        for test in ["processes::leaves_a_child", "processes::leaves_a_daemon"] {
            let record = run(&suite(), test, sandbox, 1);
            let what = vec!["process `sleep 1000`".to_owned()];
            assert_eq!(record.verdict, Verdict::Leaked { what }, "{test}");
            assert_eq!(record.leaks.processes, ["sleep 1000"]);
        }
    }
}

#[test]
fn a_test_that_never_promised_otherwise_passes_but_its_leak_is_ended_and_recorded() {
    for sandbox in SANDBOXES {
        let record = run(&suite(), "processes::leaves_a_child_and_may", sandbox, 1);
        assert_eq!(record.verdict, Verdict::Passed);
        assert_eq!(record.leaks.processes, ["sleep 1000"]);
    }
}

#[test]
fn a_child_that_is_on_its_way_out_is_no_leak() {
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
fn a_hung_test_is_ended_with_children_that_ignore_the_polite_request() {
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
fn the_children_of_a_test_that_aborts_end_too() {
    for sandbox in SANDBOXES {
        let record = run(&suite(), "processes::aborts_with_a_child", sandbox, 1);
        assert_eq!(record.verdict, Verdict::Killed { signal: 6 });
    }
}

#[test]
fn a_runner_that_is_killed_leaves_no_process_and_no_folder() {
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
        until(|| suite.is_told("hanging now"));
        runner.kill().unwrap();
        assert_eq!(runner.wait().unwrap().signal(), Some(9));
        until(|| suite.processes().is_empty());
        until(|| is_empty(&suite.tmp()));
    }
}

fn kill(pid: u32) {
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.unwrap().success(), "process {pid} is gone already");
}

#[test]
fn a_supervisor_that_is_killed_loses_its_case_and_is_replaced() {
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
        until(|| suite.is_told("hanging now"));
        let processes = suite.processes();
        let supervisor = processes.iter().map(|(pid, _)| *pid).filter(|pid| {
            let parent = parent_of(*pid);
            parent == Some(runner.id())
        });
        kill(supervisor.min().unwrap());
        if sandbox == "none" {
            // Nobody else can know of the test's child any more; in the sandbox the kernel has ended it.
            let child = processes.iter().find(|(_, line)| line.contains("sleep"));
            kill(child.unwrap().0);
        }

        let output = runner.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(101));
        let ran = suite.records();
        let Verdict::Lost { error } = &ran["processes::hangs_and_says_so"].verdict else {
            panic!("{:?}", ran["processes::hangs_and_says_so"].verdict);
        };
        assert!(error.contains("signal: 9"), "{error}");
        assert_eq!(ran["tags::model"].verdict, Verdict::Passed);
        // To JUnit, what the harness could not do is an error, and no failure of the test.
        let report = fs::read_to_string(report).unwrap();
        assert!(report.contains(r#"failures="0" errors="1""#), "{report}");
        until(|| suite.processes().is_empty());
    }
}

/// The parent of a living process.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(1)?.parse().ok()
}

/// Whether a folder holds nothing, or is no more.
fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

#[test]
fn a_grandchild_is_named_beside_its_parent() {
    let record = run(&suite(), "processes::leaves_a_grandchild", "marked", 1);
    assert_eq!(record.leaks.processes.len(), 2, "{:?}", record.leaks);
    assert!(record.leaks.processes.contains(&"sleep 1000".to_owned()));
}

#[test]
fn a_storm_of_daemons_is_swept() {
    for sandbox in SANDBOXES {
        let record = run(&suite(), "processes::leaves_a_storm", sandbox, 1);
        assert!(matches!(record.verdict, Verdict::Leaked { .. }));
        assert!(record.leaks.processes.len() >= 50, "{:?}", record.leaks);
    }
}

#[test]
fn helpers_of_a_hung_test_are_asked_politely_first() {
    for sandbox in SANDBOXES {
        let suite = suite();
        let test = "processes::hangs_with_a_polite_child";
        let mut ran = suite.run(["--exact", test, "--grace", "2s", "--sandbox", sandbox]);
        let record = ran.records.remove(test).unwrap();
        assert_eq!(record.verdict, Verdict::TimedOut { limit_ms: 500 });
        assert!(record.output.text.contains("the child was asked\n"));
    }
}

/// All that is below a folder, a line each.
fn list(folder: &Path) -> String {
    let mut listed = String::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        listed.push_str(&format!("{}\n", entry.path().display()));
        listed.push_str(&list(&entry.path()));
    }
    listed
}

/// Signals that end the runner, at moments that the loop's number spreads over its life.
#[test]
fn a_runner_that_is_ended_at_any_moment_leaves_no_folder() {
    for round in 0..24 {
        let suite = suite();
        let mut runner = suite
            .command()
            .args(["tags", "surroundings", "--test-threads", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(round));
        let signal = ["-KILL", "-TERM", "-INT"][usize::try_from(round % 3).unwrap()];
        let pid = runner.id().to_string();
        let _ = Command::new("kill")
            .args([signal, &pid])
            .stderr(Stdio::null())
            .status();
        runner.wait().unwrap();
        // Killed before it had anybody to clean up after it, it leaves a folder, which the next run removes.
        let next = suite.run(["tags::model"]);
        let all_gone = || is_empty(&suite.tmp());
        let told = || {
            format!(
                "{signal} after {round} ms: {}\n{}",
                list(&suite.tmp()),
                next.stderr
            )
        };
        until_or(all_gone, told);
    }
}
