//! The output of a run: on terminals, in pipes, and as JSON.

#[cfg(target_os = "linux")]
mod terminals;

use crate::suite;
use clarity_chaos_conformance::limits::{output_of, wait, wait_with_output};
use clarity_chaos_conformance::{RunOutput, Suite};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const FAILS: &str = "endings::fails";
const WAITS: &str = "stories::waits_for_a_file";

/// Runs all tests of `endings` except the one that waits for the default timeout.
fn endings(suite: &Suite, more: &[&str]) -> RunOutput {
    let all = ["endings::", "--skip", "waits_without_a_limit"];
    suite.run(all.iter().chain(more))
}

#[test]
fn failure_and_slow_test_are_reported_while_the_run_goes_on() {
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
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .try_for_each(|line| sender.send(line))
    });
    let next = || receiver.recv_timeout(Duration::from_secs(60));
    // The failure and the slow test must be reported while the slow test still waits. The file that
    // ends the wait is created below.
    let (mut failed, mut slow) = (false, false);
    let mut printed = Vec::new();
    while !(failed && slow) {
        let line = next().unwrap_or_else(|error| panic!("{error}: {printed:#?}"));
        failed |= line.contains("cargo run") && line.contains("--exact endings::fails --seed");
        slow |= line.starts_with(&format!("test {WAITS} has been running for "));
        printed.push(line);
    }
    // On a busy machine, the line also has the test's duration, so only the start of the line is
    // compared.
    let failed = format!("test {FAILS} ... FAILED");
    let is_printed = printed.iter().any(|line| line.starts_with(&failed));
    assert!(is_printed, "{printed:#?}");
    fs::write(&file, "").unwrap();
    let rest: Vec<_> = std::iter::from_fn(|| next().ok()).collect();
    assert_eq!(wait(&mut runner).code(), Some(101));
    let ended = |line: &String| line.starts_with(&format!("test {WAITS} ... ok"));
    assert!(rest.iter().any(ended), "{rest:#?}");
}

#[test]
fn summary_lists_failures_skips_slow_tests_and_commands() {
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

    // Each printed command must repeat the run that printed the command.
    let typed = |title: &str| {
        let (_, rest) = end.split_once(title).unwrap();
        let line = rest.lines().next().unwrap();
        let (_, arguments) = line.split_once(" --bin misbehaving -- ").unwrap();
        suite.run(arguments.split(' '))
    };
    let again = typed("\nto repeat this run:\n");
    assert_eq!(again.code, Some(101));
    let sum = |ran: &RunOutput| {
        let line = ran
            .stdout
            .lines()
            .find(|line| line.starts_with("test result: "));
        let line = line.unwrap().to_owned();
        line.split("; finished in").next().unwrap().to_owned()
    };
    assert_eq!(sum(&again), sum(&ran));
    assert!(again.stdout.contains("seed 42 "), "{}", again.stdout);
    let failed = typed("\nto repeat the failed tests:\n");
    assert!(
        sum(&failed).contains(" 0 passed; 9 failed; 0 ignored"),
        "{}",
        sum(&failed)
    );
}

/// A run with a drawn seed also runs a known failing seed. The printed command repeats both seeds.
#[test]
fn repeated_run_meets_the_known_failing_seed_again() {
    let suite = suite();
    let rare = "sweeps::rarely_fails";
    let found = suite.run(["--exact", rare, "--seeds", "0..400", "--max-failures", "1"]);
    assert_eq!(found.code, Some(101), "{}", found.stdout);
    let ran = suite.run(["--exact", rare]);
    assert_eq!(ran.code, Some(101), "{}", ran.stdout);
    let (_, rest) = ran.stdout.split_once("\nto repeat this run:\n").unwrap();
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
    // `--seed` alone does not run known failing seeds.
    let alone = suite.run(["--exact", rare, "--seed", &good_seed(&suite, rare)]);
    assert_eq!(alone.code, Some(0), "{}", alone.stdout);
    // The history decides which tests `--last-failed` runs, so no command repeats that run.
    let last = suite.run(["--exact", rare, "--last-failed"]);
    assert!(
        !last.stdout.contains("to repeat this run"),
        "{}",
        last.stdout
    );
}

fn good_seed(suite: &Suite, test: &str) -> String {
    let mut seeds = (1000..1100).map(|seed| seed.to_string());
    let passes = |seed: &String| suite.run(["--exact", test, "--seed", seed]).code == Some(0);
    seeds.find(passes).expect("it passes with most seeds")
}

#[test]
fn command_to_repeat_a_run_holds_only_our_variables() {
    let suite = suite();
    let mut command = suite.command();
    command
        .env("CHAOS_TAG", "model")
        .env("CHAOS_API_TOKEN", "hunter2");
    let output = output_of(&mut command);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("to repeat this run:\n    CHAOS_")
            && printed.contains(" CHAOS_TAG=model cargo "),
        "{printed}"
    );
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[test]
fn variables_of_flags_take_yes_and_no() {
    let suite = suite();
    let run = |value: &str, more: &[&str]| {
        let mut command = suite.command();
        command
            .args(["tags::model"])
            .args(more)
            .env("CHAOS_VERBOSE", value);
        let output = output_of(&mut command);
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    for (value, is_verbose) in [("1", true), ("true", true), ("off", false), ("0", false)] {
        let (code, printed) = run(value, &[]);
        assert_eq!(code, Some(0), "{value}: {printed}");
        let scenario = printed.contains("    Tagged `model`.");
        assert_eq!(scenario, is_verbose, "{value}: {printed}");
        let (_, printed) = run(value, &["--quiet"]);
        assert!(
            !printed.contains("test tags::model"),
            "--quiet outweighs it: {printed}"
        );
    }
    assert_eq!(run("perhaps", &[]).0, Some(2));
}

#[test]
fn shown_output_of_passed_test_starts_on_its_own_line() {
    let ran = suite().run([
        "--exact",
        "endings::passes_and_tells",
        "--quiet",
        "--show-output",
    ]);
    let printed = "\n---- endings::passes_and_tells printed ----\nprinted\n";
    assert!(ran.stdout.contains(printed), "{}", ran.stdout);
}

#[test]
fn summary_names_unmet_oracles_and_written_reports() {
    let suite = suite();
    let report = suite.tmp().join("report.html");
    let report = report.to_str().unwrap();
    let ran = suite.run(["tags", "--oracles", "strict", "--html", report]);
    let printed = format!("\nreports: {report}\n");
    assert!(ran.stdout.contains(&printed), "{}", ran.stdout);
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
    assert!(end.contains("the file is a directory"), "{end}");
}

#[test]
fn quiet_prints_a_character_for_each_test_and_failures() {
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
fn verbose_prints_scenario_and_number_of_faults() {
    let ran = suite().run(["--exact", "faults::superseded", "-v", "--no-tests", "fail"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let mut lines = ran.stdout.lines();
    let line = lines.find(|line| line.starts_with("test faults::superseded ... ok <"));
    let line = line.unwrap_or_else(|| panic!("{}", ran.stdout));
    let faults = ran.records["faults::superseded"].faults.len();
    assert!(line.contains(&format!("> {faults} fault")), "{line}");
    let scenario =
        "    The code under test repairs a damaged file. Undoing must not restore the old content.";
    assert_eq!(lines.next(), Some(scenario), "{}", ran.stdout);
}

#[test]
fn json_events_are_those_of_libtest_with_more_fields() {
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
        ours["replay_command"]
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
fn colours_follow_the_choice_and_default_to_none_in_pipes() {
    let suite = suite();
    for (choice, is_coloured) in [("auto", false), ("never", false), ("always", true)] {
        let ran = suite.run(["tags", "--color", choice]);
        assert_eq!(ran.stdout.contains('\u{1b}'), is_coloured, "{choice}");
    }
}

/// A run, a sweep and a merge each fail if standard output is closed. Report files are still
/// written.
#[test]
fn closed_standard_output_is_an_error_and_loses_no_report() {
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
        let output = wait_with_output(command.spawn().unwrap());
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(
            printed.contains("cannot write to stdout: it is closed"),
            "{arguments:?}: {printed}"
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
