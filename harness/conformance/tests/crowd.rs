//! A thousand tests at a time: nobody is blamed for nothing, and whoever is killed gets a verdict.
#![cfg(target_os = "linux")]

use clarity_chaos::Verdict;
use clarity_chaos::rand::{RngExt as _, SeedableRng as _};
use clarity_chaos_conformance::Suite;
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

/// How often something is done: `default`, unless the environment says otherwise.
fn times(variable: &str, default: usize) -> usize {
    let given = std::env::var(variable).ok();
    given.map_or(default, |given| {
        given.parse().expect("a number of times is a number")
    })
}

fn crowd() -> Suite {
    Suite::new(env!("CARGO_BIN_EXE_crowd"), "fork")
}

/// `CROWD_RUNS=10 cargo test -p clarity-chaos-conformance --test crowd` looks at 10,000 cases.
#[test]
fn the_innocent_are_never_blamed() {
    for _ in 0..times("CROWD_RUNS", 2) {
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

/// The children of a process.
fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let list = list.unwrap_or_default();
    let children = list.split_whitespace().map(|pid| pid.parse());
    children.map_while(Result::ok).collect()
}

/// The children of all threads of a process.
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

/// The processes of tests below a runner: runner, supervisor, its part inside of the walls, test.
fn tests_of(runner: u32) -> Vec<u32> {
    let supervisors = children_of_threads(runner).into_iter();
    let inside = supervisors.flat_map(children);
    inside.flat_map(children).collect()
}

/// `CROWD_KILLS=1000 cargo test -p clarity-chaos-conformance --test crowd` kills a thousand.
#[test]
fn whoever_is_killed_at_any_moment_gets_a_verdict() {
    let wanted = times("CROWD_KILLS", 200);
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_123);
    let mut killed = 0;
    let deadline = Instant::now() + Duration::from_secs(300);
    while killed < wanted {
        assert!(
            Instant::now() < deadline,
            "only {killed} were killed in five minutes"
        );
        let suite = crowd();
        let mut runner = suite
            .command()
            .args(["--quiet", "--keep-dirs", "never"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while runner.try_wait().unwrap().is_none() {
            for test in tests_of(runner.id()) {
                thread::sleep(Duration::from_micros(rng.random_range(0..1500)));
                let pid = i32::try_from(test).ok().and_then(Pid::from_raw).unwrap();
                // It may have ended by itself, and then is not counted. Its number is given again only after all others were.
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
