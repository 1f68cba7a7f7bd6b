//! What is seen of a run: at once, and no more than the reader can take; on terminals, in pipes, and as JSON.

#[cfg(target_os = "linux")]
mod terminals;

use crate::suite;
use clarity_chaos_conformance::{Ran, Suite};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

const FAILS: &str = "endings::fails";
const WAITS: &str = "stories::waits_for_a_file";

/// The tests of many endings, those that take no longer than they must.
fn endings(suite: &Suite, more: &[&str]) -> Ran {
    let all = ["endings::", "--skip", "waits_without_a_limit"];
    suite.run(all.iter().chain(more))
}

#[test]
fn a_failure_is_told_at_once_and_a_slow_test_named_while_it_runs() {
    let suite = suite();
    let file = suite.tmp().join("file");
    let mut command = suite.command();
    command
        .args(["--exact", FAILS, WAITS, "--test-threads", "2"])
        .args(["--slow-after", "20ms"])
        .env("MISBEHAVING_FILE", &file)
        .stdout(Stdio::piped());
    let mut runner = command.spawn().unwrap();
    let lines = BufReader::new(runner.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    // Both tests have to be told while the second still waits: the file comes after that.
    let (mut failed, mut slow) = (false, false);
    let mut told = Vec::new();
    while !(failed && slow) {
        let line = lines.next().unwrap_or_else(|| panic!("{told:#?}"));
        failed |= line.contains("cargo run") && line.contains("--exact endings::fails --seed");
        slow |= line.starts_with(&format!("test {WAITS} has been running for "));
        told.push(line);
    }
    assert!(told.contains(&format!("test {FAILS} ... FAILED")));
    fs::write(&file, "").unwrap();
    let rest: Vec<_> = lines.collect();
    assert_eq!(runner.wait().unwrap().code(), Some(101));
    let ended = |line: &String| line.starts_with(&format!("test {WAITS} ... ok"));
    assert!(rest.iter().any(ended), "{rest:#?}");
}

#[test]
fn the_end_tells_what_failed_why_others_did_not_run_what_was_slow_and_what_to_type() {
    let suite = suite();
    let ran = endings(&suite, &["--seed", "42"]);
    let (_, end) = ran.stdout.split_once("\nfailures:\n").unwrap();
    let failure = "    endings::fails\n        failed: No such file or directory (os error 2)\n        cargo run ";
    assert!(end.contains(failure), "{end}");
    let skipped = "\nskipped:\n    not on this machine\n        endings::skips\n";
    assert!(end.contains(skipped), "{end}");
    let (_, slowest) = end.split_once("\nslowest:\n").unwrap();
    let slowest: Vec<&str> = slowest
        .lines()
        .take_while(|line| !line.is_empty())
        .collect();
    assert!(slowest.len() <= 5, "{slowest:?}");
    for slow in ["endings::spins_forever", "endings::waits_forever"] {
        assert!(
            slowest.iter().any(|line| line.ends_with(slow)),
            "{slowest:?}"
        );
    }

    // What is to be typed does what it says.
    let typed = |title: &str| {
        let (_, rest) = end.split_once(title).unwrap();
        let line = rest.lines().next().unwrap();
        let (_, arguments) = line.split_once(" --bin misbehaving -- ").unwrap();
        suite.run(arguments.split(' '))
    };
    let again = typed("\nall of it again:\n");
    assert_eq!(again.code, Some(101));
    let sum = |ran: &Ran| {
        let line = ran
            .stdout
            .lines()
            .find(|line| line.starts_with("test result: "));
        let line = line.unwrap().to_owned();
        line.split("; finished in").next().unwrap().to_owned()
    };
    assert_eq!(sum(&again), sum(&ran));
    assert!(again.stdout.contains("seed 42 "), "{}", again.stdout);
    let failed = typed("\nall that failed again:\n");
    assert!(
        sum(&failed).contains(" 0 passed; 9 failed; 0 ignored"),
        "{}",
        sum(&failed)
    );
}

/// A run that drew its seed and met one that a test is known to fail with is repeated with both.
#[test]
fn a_failure_of_a_known_seed_is_there_when_the_run_is_repeated() {
    let suite = suite();
    let rare = "sweeps::rarely_fails";
    let found = suite.run(["--exact", rare, "--seeds", "0..400", "--max-failures", "1"]);
    assert_eq!(found.code, Some(101), "{}", found.stdout);
    let ran = suite.run(["--exact", rare]);
    assert_eq!(ran.code, Some(101), "{}", ran.stdout);
    let (_, rest) = ran.stdout.split_once("\nall of it again:\n").unwrap();
    let (_, arguments) = rest
        .lines()
        .next()
        .unwrap()
        .split_once(" --bin misbehaving -- ")
        .unwrap();
    assert!(arguments.contains("--known-seeds first"), "{arguments}");
    let again = suite.run(arguments.split(' '));
    assert_eq!(again.code, Some(101), "{}", again.stdout);
    assert_eq!(again.records[rare].root_seed, ran.records[rare].root_seed);
    // Without that a seed is a seed.
    let alone = suite.run(["--exact", rare, "--seed", &good_seed(&suite, rare)]);
    assert_eq!(alone.code, Some(0), "{}", alone.stdout);
    // What failed before decides what `--last-failed` runs: nothing to type repeats that.
    let last = suite.run(["--exact", rare, "--last-failed"]);
    assert!(!last.stdout.contains("all of it again"), "{}", last.stdout);
}

fn good_seed(suite: &Suite, test: &str) -> String {
    let mut seeds = (1000..1100).map(|seed| seed.to_string());
    let passes = |seed: &String| suite.run(["--exact", test, "--seed", seed]).code == Some(0);
    seeds.find(passes).expect("it passes with most seeds")
}

#[test]
fn the_lines_to_repeat_a_run_tell_nothing_that_is_not_ours() {
    let suite = suite();
    let mut command = suite.command();
    command
        .args(["tags::model"])
        .env("CHAOS_API_TOKEN", "hunter2");
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("all of it again:") && !told.contains("hunter2"),
        "{told}"
    );
}

#[test]
fn variables_of_flags_are_yes_or_no() {
    let suite = suite();
    let run = |value: &str| {
        let mut command = suite.command();
        command
            .args(["tags::model", "--quiet"])
            .env("CHAOS_VERBOSE", value);
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    for value in ["1", "true", "off", "0"] {
        let (code, told) = run(value);
        assert_eq!(code, Some(0), "{value}: {told}");
        assert!(
            !told.contains("test tags::model"),
            "--quiet outweighs it: {told}"
        );
    }
    assert_eq!(run("perhaps").0, Some(2));
}

#[test]
fn output_of_passed_tests_begins_on_a_line_of_its_own() {
    let ran = suite().run([
        "--exact",
        "endings::passes_and_tells",
        "--quiet",
        "--show-output",
    ]);
    let told = "\n---- endings::passes_and_tells printed ----\nprinted\n";
    assert!(ran.stdout.contains(told), "{}", ran.stdout);
}

#[test]
fn an_unmet_oracle_and_a_written_report_are_told_at_the_end() {
    let suite = suite();
    let report = suite.tmp().join("report.html");
    let report = report.to_str().unwrap();
    let ran = suite.run(["tags", "--oracles", "strict", "--html", report]);
    let told = format!("\nreports: {report}\n");
    assert!(ran.stdout.contains(&told), "{}", ran.stdout);
    let seen = suite.run([
        "--exact",
        "stories::a_breaker_opens_after_a_fault",
        "--oracles",
        "strict",
    ]);
    let (_, end) = seen
        .stdout
        .split_once("oracles that no case has met:\n")
        .unwrap();
    assert!(end.contains("the file is a folder"), "{end}");
}

#[test]
fn quiet_is_a_character_for_each_test_and_what_failed() {
    let ran = endings(&suite(), &["--quiet", "--test-threads", "1"]);
    assert_eq!(ran.code, Some(101));
    let characters = ran.stdout.lines().find(|line| line.len() == 14).unwrap();
    let count = |wanted: char| characters.chars().filter(|found| *found == wanted).count();
    assert_eq!(
        (count('.'), count('F'), count('i')),
        (4, 9, 1),
        "{characters}"
    );
    assert!(
        !ran.stdout.contains("test endings::passes"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("---- endings::fails ----\nfailed: "),
        "{}",
        ran.stdout
    );
}

#[test]
fn verbose_tells_of_each_test_what_it_is_about_and_what_it_met() {
    let ran = suite().run(["--exact", "faults::superseded", "-v", "--no-tests", "fail"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let mut lines = ran.stdout.lines();
    let line = lines.find(|line| line.starts_with("test faults::superseded ... ok <"));
    let line = line.unwrap_or_else(|| panic!("{}", ran.stdout));
    let faults = ran.records["faults::superseded"].faults.len();
    assert!(line.contains(&format!("> {faults} fault")), "{line}");
    assert!(lines.next().unwrap().starts_with("    "), "{}", ran.stdout);
}

#[test]
fn the_stream_of_events_is_libtests_with_our_fields_beside() {
    let ran = endings(&suite(), &["--format", "json", "--seed", "7"]);
    assert_eq!(ran.code, Some(101));
    let events: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let first = &events[0];
    assert_eq!(
        (&first["event"], &first["test_count"]),
        (&"started".into(), &14.into())
    );
    assert_eq!(first["chaos"]["root_seed"], "7");
    let of = |name: &str, event: &str| {
        let is = |value: &&Value| value["name"] == name && value["event"] == event;
        events
            .iter()
            .find(is)
            .unwrap_or_else(|| panic!("no {event} of {name}"))
    };
    of(FAILS, "started");
    let failed = of(FAILS, "failed");
    assert!(failed["stdout"].as_str().unwrap().contains("No such file"));
    assert!(failed["exec_time"].as_f64().unwrap() > 0.0);
    let ours = &failed["chaos"];
    assert_eq!(
        (&ours["verdict"], &ours["tags"]),
        (&"failed".into(), &Value::Array(Vec::new()))
    );
    assert!(
        ours["replay"]
            .as_str()
            .unwrap()
            .contains("--exact endings::fails --seed 7")
    );
    assert_eq!(
        of("endings::skips", "ignored")["message"],
        "not on this machine"
    );
    let last = events.last().unwrap();
    let counts = ["passed", "failed", "ignored"].map(|name| last[name].as_u64().unwrap());
    assert_eq!(
        (&last["type"], &last["event"], counts),
        (&"suite".into(), &"failed".into(), [4, 9, 1])
    );
}

#[test]
fn colours_are_for_those_who_ask() {
    let suite = suite();
    for (choice, is_coloured) in [("auto", false), ("never", false), ("always", true)] {
        let ran = suite.run(["tags", "--color", choice]);
        assert_eq!(ran.stdout.contains('\u{1b}'), is_coloured, "{choice}");
    }
}

/// A run, a sweep and shards alike; what was asked for as a file is there all the same.
#[test]
fn a_run_that_nobody_listens_to_any_more_says_so() {
    let suite = suite();
    let file = |name: &str| suite.tmp().join(name).to_str().unwrap().to_owned();
    let (results, report) = (file("results.json"), file("report.xml"));
    let deaf = |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = suite.command();
        command
            .args(arguments)
            .stdout(writer)
            .stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            told.contains("nobody takes what is printed"),
            "{arguments:?}: {told}"
        );
        output.status.code()
    };
    assert_eq!(deaf(&["tags", "endings::passes"]), Some(1));
    let sweep = ["--exact", "endings::passes", FAILS, "--seeds", "0..2"];
    let kept = ["--results", &results, "--junit", &report];
    assert_eq!(deaf(&[&sweep[..], &kept[..]].concat()), Some(101));
    assert!(
        fs::read_to_string(&report)
            .unwrap()
            .contains("endings::fails")
    );
    assert_eq!(deaf(&["--merge", &results]), Some(1));
}
