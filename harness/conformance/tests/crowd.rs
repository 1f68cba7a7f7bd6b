//! Suites of a thousand tests: well-behaved tests pass, and each killed test has a verdict.
#![cfg(target_os = "linux")]

use clarity_chaos::Verdict;
use clarity_chaos::rand::{RngExt as _, SeedableRng as _};
use clarity_chaos_conformance::Suite;
use clarity_chaos_conformance::limits::RUN_LIMIT;
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

/// Returns the number of repetitions in the environment variable `variable`, or `default` if the
/// variable is unset.
fn repetitions(variable: &str, default: usize) -> usize {
    let given = std::env::var(variable).ok();
    given.map_or(default, |given| {
        given.parse().expect("the variable is a number")
    })
}

fn crowd() -> Suite {
    Suite::new(env!("CARGO_BIN_EXE_crowd"), "fork")
}

/// `CROWD_RUNS=10 cargo test -p clarity-chaos-conformance --test crowd` runs 10,000 tests.
#[test]
fn well_behaved_tests_are_never_blamed() {
    for _ in 0..repetitions("CROWD_RUNS", 2) {
        let suite = crowd();
        let ran = suite.run(["--quiet"]);
        let blamed: Vec<_> = ran
            .records
            .values()
            .filter(|record| record.verdict != Verdict::Passed)
            .map(|record| format!("{}: {}", record.name, record.verdict))
            .collect();
        assert!(blamed.is_empty(), "{blamed:#?}");
        assert_eq!(ran.records.len(), 1000, "{}", ran.stderr);
        assert_eq!(ran.code, Some(0));
        assert_eq!(suite.processes(), []);
        assert_eq!(fs::read_dir(suite.tmp()).unwrap().count(), 0);
    }
}

/// Returns the children of a process's main thread.
fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let list = list.unwrap_or_default();
    let children = list.split_whitespace().map(|pid| pid.parse());
    children.map_while(Result::ok).collect()
}

/// Returns the children of all threads of a process.
fn children_of_threads(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let lists: Vec<_> = lists.collect();
    let children = lists.iter().flat_map(|list| list.split_whitespace());
    children.filter_map(|pid| pid.parse().ok()).collect()
}

/// Returns the test processes, which are great-grandchildren of the runner.
///
/// Two processes stand between the runner and a test process: a supervisor, and a process inside
/// the sandbox.
fn tests_of(runner: u32) -> Vec<u32> {
    let supervisors = children_of_threads(runner).into_iter();
    let inside = supervisors.flat_map(children);
    inside.flat_map(children).collect()
}

/// `CROWD_KILLS=1000 cargo test -p clarity-chaos-conformance --test crowd` kills 1,000 tests.
#[test]
fn test_killed_at_any_moment_has_a_verdict() {
    let wanted = repetitions("CROWD_KILLS", 200);
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_123);
    let mut killed = 0;
    let deadline = Instant::now() + RUN_LIMIT;
    while killed < wanted {
        assert!(
            Instant::now() < deadline,
            "only {killed} were killed in {RUN_LIMIT:?}"
        );
        let suite = crowd();
        let mut runner = suite
            .command()
            .args(["--quiet", "--keep-dirs", "never"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ends = Instant::now() + RUN_LIMIT;
        while runner.try_wait().unwrap().is_none() {
            if Instant::now() >= ends {
                runner.kill().unwrap();
                runner.wait().unwrap();
                panic!("the runner has not ended within {RUN_LIMIT:?}");
            }
            for test in tests_of(runner.id()) {
                thread::sleep(Duration::from_micros(rng.random_range(0..1500)));
                let pid = i32::try_from(test).ok().and_then(Pid::from_raw).unwrap();
                // Only a test that still runs is killed. If the test ends meanwhile, no other
                // process gets the test's process number soon. The kernel first uses all other
                // numbers.
                if tests_of(runner.id()).contains(&test) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
        }
        let records = suite.records();
        assert_eq!(records.len(), 1000);
        for record in records.values() {
            match &record.verdict {
                Verdict::Passed => {}
                Verdict::Killed { signal: 9 } => killed += 1,
                other => panic!("{}: {other}", record.name),
            }
        }
        assert_eq!(suite.processes(), []);
        assert_eq!(fs::read_dir(suite.tmp()).unwrap().count(), 0);
    }
}
