//! What tests start ends with them, and with the runner.

use crate::suite;
use clarity_chaos::{Record, Verdict, What};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The numbers of the processes that the test noted.
fn noted(record: &Record) -> Vec<u32> {
    let notes = record
        .timeline
        .iter()
        .filter_map(|event| match &event.what {
            What::Note { text } => Some(text.parse().expect("the test notes process numbers")),
            _ => None,
        });
    notes.collect()
}

/// Whether the process is there and is not a zombie.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    !state.is_empty() && !state.starts_with('Z')
}

fn assert_all_dead(record: &Record, processes: usize) {
    let pids = noted(record);
    assert_eq!(pids.len(), processes, "{record:?}");
    for pid in pids {
        assert!(!is_alive(pid), "process {pid} has outlived its test");
    }
}

/// Waits until `condition` holds; what never comes fails after a minute.
#[track_caller]
fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "it has not come true within a minute"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_child_or_daemon_left_behind_is_named_and_ended() {
    for test in ["processes::leaves_a_child", "processes::leaves_a_daemon"] {
        let record = suite().record_of(test);
        let processes = vec!["sleep 1000".to_owned()];
        assert_eq!(record.verdict, Verdict::Leaked { processes }, "{test}");
        assert_eq!(record.leaks.processes, ["sleep 1000"]);
        assert_all_dead(&record, 1);
    }
}

#[test]
fn a_test_that_never_promised_otherwise_passes_but_its_leak_is_ended_and_recorded() {
    let record = suite().record_of("processes::leaves_a_child_and_may");
    assert_eq!(record.verdict, Verdict::Passed);
    assert_eq!(record.leaks.processes, ["sleep 1000"]);
    assert_all_dead(&record, 1);
}

#[test]
fn a_child_that_is_on_its_way_out_is_no_leak() {
    let record = suite().record_of("processes::ends_its_child_without_waiting");
    assert_eq!(record.verdict, Verdict::Passed);
    assert_all_dead(&record, 1);
}

#[test]
fn a_hung_test_is_ended_with_children_that_ignore_the_polite_request() {
    let suite = suite();
    let test = "processes::hangs_with_a_stubborn_tree";
    let mut ran = suite.run(["--exact", test, "--grace", "100ms"]);
    let record = ran.records.remove(test).unwrap();
    assert_eq!(record.verdict, Verdict::TimedOut { limit_ms: 1000 });
    assert_all_dead(&record, 2);
}

#[test]
fn the_children_of_a_test_that_aborts_end_too() {
    let record = suite().record_of("processes::aborts_with_a_child");
    assert_eq!(record.verdict, Verdict::Killed { signal: 6 });
    assert_all_dead(&record, 1);
}

#[test]
fn a_runner_that_is_killed_leaves_no_process_and_no_folder() {
    let suite = suite();
    let pids = suite.tmp().join("pids");
    let mut runner = suite
        .command()
        .args(["--exact", "processes::hangs_and_says_so"])
        .env("MISBEHAVING_PIDS", &pids)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until(|| pids.exists());
    let pids_text = fs::read_to_string(&pids).unwrap();
    fs::remove_file(&pids).unwrap();
    runner.kill().unwrap();
    assert_eq!(runner.wait().unwrap().signal(), Some(9));

    for pid in pids_text.split(' ') {
        let pid = pid.parse().unwrap();
        until(|| !is_alive(pid));
    }
    until(|| is_empty(&suite.tmp()));
}

/// The parent of a process: of a test, its supervisor.
fn parent_of(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    after_name.split(' ').nth(1).unwrap().parse().unwrap()
}

fn kill(pid: u32) {
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.unwrap().success(), "process {pid} is gone already");
}

#[test]
fn a_supervisor_that_is_killed_loses_its_case_and_is_replaced() {
    let suite = suite();
    let pids = suite.tmp().join("pids");
    let runner = suite
        .command()
        .args(["--exact", "processes::hangs_and_says_so", "tags::model"])
        .args(["--test-threads", "1", "--keep-dirs", "never"])
        .args(["--junit", suite.tmp().join("report.xml").to_str().unwrap()])
        .env("MISBEHAVING_PIDS", &pids)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    until(|| pids.exists());
    let text = fs::read_to_string(&pids).unwrap();
    let (test, child) = text.split_once(' ').unwrap();
    let (test, child) = (test.parse().unwrap(), child.parse().unwrap());
    kill(parent_of(test));
    until(|| !is_alive(test));
    kill(child); // nobody else can know of it any more

    let output = runner.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(101));
    let ran = suite.records();
    let Verdict::Lost { error } = &ran["processes::hangs_and_says_so"].verdict else {
        panic!("{:?}", ran["processes::hangs_and_says_so"].verdict);
    };
    assert!(error.contains("signal: 9"), "{error}");
    assert_eq!(ran["tags::model"].verdict, Verdict::Passed);
    // To JUnit, what the harness could not do is an error, and no failure of the test.
    let report = fs::read_to_string(suite.tmp().join("report.xml")).unwrap();
    assert!(report.contains(r#"failures="0" errors="1""#), "{report}");
}

/// Whether a folder holds nothing, or is no more.
fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

#[test]
fn a_grandchild_is_named_beside_its_parent() {
    let record = suite().record_of("processes::leaves_a_grandchild");
    assert_eq!(record.leaks.processes.len(), 2, "{:?}", record.leaks);
    assert!(record.leaks.processes.contains(&"sleep 1000".to_owned()));
    assert_all_dead(&record, 1);
}

#[test]
fn helpers_of_a_hung_test_are_asked_politely_first() {
    let suite = suite();
    let file = suite.tmp().join("ended");
    let ran = suite
        .command()
        .args([
            "--exact",
            "processes::hangs_with_a_polite_child",
            "--grace",
            "60s",
        ])
        .env("MISBEHAVING_FILE", &file)
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(101));
    assert_eq!(fs::read_to_string(file).unwrap(), "ended\n");
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
        suite.run(["tags::model"]);
        until(|| is_empty(&suite.tmp()));
    }
}
