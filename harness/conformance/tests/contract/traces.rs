//! `--trace`: the Chrome trace of a run. Each file is checked against the Trace Event Format.

use super::until;
use crate::suite;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The events of a valid trace.
struct Trace {
    events: Vec<Value>,
}

impl Trace {
    /// Reads a trace, and checks the rules of the format.
    #[track_caller]
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let events: Vec<Value> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let mut names: BTreeMap<u64, String> = BTreeMap::new();
        // By thread: the start and the end of each event, in nanoseconds.
        let mut spans: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
        let mut open: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for event in &events {
            let number = |field: &str| {
                event[field]
                    .as_u64()
                    .unwrap_or_else(|| panic!("{field}: {event}"))
            };
            let nanoseconds = |field: &str| {
                let us = event[field]
                    .as_f64()
                    .unwrap_or_else(|| panic!("{field}: {event}"));
                assert!(us >= 0.0, "{event}");
                (us * 1000.0).round() as u64
            };
            assert!(event["name"].is_string(), "{event}");
            let (phase, thread) = (event["ph"].as_str().unwrap(), number("tid"));
            assert_eq!(number("pid"), events[0]["pid"].as_u64().unwrap());
            match phase {
                "M" if event["name"] == "thread_name" => {
                    let name = event["args"]["name"].as_str().unwrap().to_owned();
                    assert_eq!(names.insert(thread, name), None, "{event}");
                }
                "M" => assert!(event["args"].is_object(), "{event}"),
                "X" => {
                    assert!(event["cat"].is_string(), "{event}");
                    let (start, took) = (nanoseconds("ts"), nanoseconds("dur"));
                    spans.entry(thread).or_default().push((start, start + took));
                }
                "B" => {
                    assert!(event["cat"].is_string(), "{event}");
                    open.entry(thread).or_default().push(nanoseconds("ts"));
                }
                other => panic!("unexpected phase {other}: {event}"),
            }
        }
        for (thread, mut spans) in spans {
            assert!(names.contains_key(&thread), "thread {thread} has no name");
            // An event without an end lasts until the end of the trace.
            let unfinished = open.remove(&thread).unwrap_or_default();
            spans.extend(unfinished.into_iter().map(|start| (start, u64::MAX)));
            assert_nested(spans);
        }
        Self { events }
    }

    /// Returns the events of a category and a phase.
    fn of<'a>(&'a self, category: &'a str, phase: &'a str) -> impl Iterator<Item = &'a Value> {
        let events = self.events.iter();
        events.filter(move |event| event["cat"] == category && event["ph"] == phase)
    }
}

/// Checks that each two spans are apart, or one of them is within the other.
#[track_caller]
fn assert_nested(mut spans: Vec<(u64, u64)>) {
    spans.sort_by_key(|(start, end)| (*start, std::cmp::Reverse(*end)));
    let mut around: Vec<(u64, u64)> = Vec::new();
    for (start, end) in spans {
        while around.last().is_some_and(|last| last.1 <= start) {
            around.pop();
        }
        if let Some(last) = around.last() {
            assert!(end <= last.1, "{start}..{end} overlaps {last:?}");
        }
        around.push((start, end));
    }
}

fn path(suite: &clarity_chaos_conformance::Suite) -> PathBuf {
    suite.tmp().join("out/trace.json")
}

#[test]
fn trace_has_the_run_and_each_attempt_of_a_test() {
    let suite = suite();
    let path = path(&suite);
    let tests = [
        "--exact",
        "endings::passes",
        "endings::fails",
        "endings::skips",
        "tags::slow",
    ];
    let more = [
        "--retries",
        "1",
        "--seed",
        "7",
        "--test-threads",
        "3",
        "--trace",
        path.to_str().unwrap(),
    ];
    let ran = suite.run(tests.iter().chain(&more));
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    assert!(
        ran.stdout.contains(path.to_str().unwrap()),
        "{}",
        ran.stdout
    );
    let trace = Trace::read(&path);
    let run = trace.of("run", "X").next().unwrap();
    assert_eq!(run["args"]["seed"], "7");
    assert_eq!(run["args"]["failed"], 1);
    let runs: Vec<_> = trace
        .of("test", "X")
        .map(|event| {
            let args = &event["args"];
            assert_eq!(args["seed"], "7", "{event}");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (
                text(&event["name"]),
                text(&args["status"]),
                args["retry"].as_u64().unwrap(),
            )
        })
        .collect();
    for (name, status, retry) in [
        ("endings::passes", "passed", 0),
        ("endings::fails", "failed", 0),
        ("endings::fails", "failed", 1),
        ("endings::skips", "skipped", 0),
        ("tags::slow", "passed", 0),
    ] {
        let expected = (name.to_owned(), status.to_owned(), retry);
        let found = runs.iter().filter(|run| **run == expected).count();
        assert_eq!(found, 1, "{expected:?}: {runs:?}");
    }
    // Each run of a test consists of phases.
    for phase in ["prepare", "run", "clean up"] {
        let found = trace
            .of("phase", "X")
            .filter(|event| event["name"] == phase)
            .count();
        assert_eq!(found, runs.len(), "{phase}");
    }
    assert_eq!(trace.of("test", "B").count(), 0);
}

#[test]
fn trace_of_a_sweep_has_each_case() {
    let suite = suite();
    let path = path(&suite);
    let sweep = [
        "--exact",
        "sweeps::never_fails",
        "tags::slow",
        "--seeds",
        "3..13",
    ];
    let ran = suite.run(sweep.iter().chain(&["--trace", path.to_str().unwrap()]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let trace = Trace::read(&path);
    let mut seeds: Vec<u64> = trace
        .of("test", "X")
        .map(|event| event["args"]["seed"].as_str().unwrap().parse().unwrap())
        .collect();
    seeds.sort_unstable();
    let expected: Vec<u64> = (3..13).flat_map(|seed| [seed, seed]).collect();
    assert_eq!(seeds, expected);
}

#[cfg(unix)]
#[test]
fn trace_of_an_ended_run_has_finished_and_running_tests() {
    for (signal, is_finished) in [("-KILL", false), ("-INT", true)] {
        let suite = suite();
        let path = path(&suite);
        let runner = suite
            .command()
            .args([
                "--exact",
                "endings::passes",
                "endings::waits_without_a_limit",
            ])
            .args(["--test-threads", "1", "--timeout", "1h", "--trace"])
            .arg(&path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until(|| suite.timeline_contains(r#""event":"started""#) && suite.records().len() == 1);
        until(|| fs::read_to_string(&path).is_ok_and(|text| text.contains("waits_without")));
        // A running trace is valid, too.
        assert_eq!(Trace::read(&path).of("test", "B").count(), 1);
        let pid = runner.id().to_string();
        let kill = std::process::Command::new("kill")
            .args([signal, &pid])
            .status();
        assert!(kill.unwrap().success());
        let _ = clarity_chaos_conformance::limits::wait_with_output(runner);
        until(|| suite.processes().is_empty());
        let trace = Trace::read(&path);
        let finished: Vec<_> = trace.of("test", "X").map(|event| &event["name"]).collect();
        let running: Vec<_> = trace.of("test", "B").map(|event| &event["name"]).collect();
        if is_finished {
            assert_eq!(
                finished,
                ["endings::passes", "endings::waits_without_a_limit"]
            );
            assert_eq!(
                trace.of("run", "X").next().unwrap()["args"]["interrupted"],
                true
            );
        } else {
            assert_eq!(finished, ["endings::passes"]);
            assert_eq!(running, ["endings::waits_without_a_limit"]);
            assert_eq!(trace.of("run", "B").count(), 1);
        }
    }
}

#[test]
fn trace_that_cannot_be_written_fails_the_run() {
    let ran = suite().run(["--exact", "endings::passes", "--trace", "/dev/null/trace"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("/dev/null/trace"), "{}", ran.stderr);
}

/// The trace of a run whose disk becomes full has the events that were written.
#[cfg(target_os = "linux")]
#[test]
fn full_disk_leaves_a_valid_trace_and_fails_the_run() {
    let script = r#"
        mkdir "$TMPDIR/disk"
        mount -t tmpfs -o size=16k none "$TMPDIR/disk"
        code=0; "$@" || code=$?
        cp "$TMPDIR/disk/trace" "$TMPDIR/../copy"
        exit "$code""#;
    let suite = suite();
    let (trace, copy) = (
        suite.tmp().join("disk/trace"),
        suite.tmp().with_file_name("copy"),
    );
    let Some(suite) = super::mount_namespace::within(suite, script) else {
        return;
    };
    let sweep = [
        "--exact",
        "sweeps::never_fails",
        "--seeds",
        "0..100",
        "--trace",
    ];
    let ran = suite.run(sweep.iter().chain(&[trace.to_str().unwrap()]));
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    let words = format!(
        "failed to write the trace {}: No space left",
        trace.display()
    );
    assert!(ran.stderr.contains(&words), "{}", ran.stderr);
    let written = Trace::read(&copy).of("test", "X").count();
    assert!((1..100).contains(&written), "{written}");
}
