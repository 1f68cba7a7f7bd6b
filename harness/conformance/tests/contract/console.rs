//! What is seen of a run: at once, and no more than the reader can take; on terminals, in pipes, and as JSON.

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

#[test]
fn a_run_that_nobody_listens_to_any_more_says_so() {
    let suite = suite();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = suite.command();
    command.args(["tags", "endings::passes"]);
    command.stdout(writer).stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("nobody takes what is printed"), "{told}");
}

#[cfg(target_os = "linux")]
mod terminals {
    use super::*;
    use nix::pty::{Winsize, openpty};
    use std::fs::File;
    use std::io::Read as _;
    use std::num::NonZero;
    use vt100::Parser;

    /// Runs a failure beside a test that waits until what is running has been shown on a terminal of this width. Gives the screen when that was so,
    /// the one at the end, and all that was written.
    fn shown(columns: u16, variables: &[(&str, &str)]) -> (String, String, String) {
        let suite = suite();
        let file = suite.tmp().join("file");
        let rows = 200;
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(Some(&size), None).unwrap();
        let mut command = suite.command();
        command
            .args([
                "--exact",
                FAILS,
                "endings::passes",
                WAITS,
                "--test-threads",
                "2",
            ])
            .env("MISBEHAVING_FILE", &file)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied())
            .stdout(pair.slave.try_clone().unwrap())
            .stderr(pair.slave);
        let mut runner = command.spawn().unwrap();
        // The runner's ends of the terminal are the last ones then.
        drop(command);
        let mut terminal = File::from(pair.master);
        let cells = |count| NonZero::new(count).unwrap();
        let mut parser = Parser::new(cells(rows), cells(columns), 0);
        let (mut all, mut meanwhile) = (Vec::new(), None);
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = terminal.read(&mut buffer) {
            all.extend_from_slice(&buffer[..count]);
            parser.process(&buffer[..count]);
            let screen = parser.screen().contents();
            let bar = screen.lines().find(|line| line.starts_with('['));
            let counted = bar.is_some_and(|bar| bar.contains("2/3 tests, 1 failed"));
            if meanwhile.is_none() && counted && screen.contains(&format!("{WAITS} 0s")) {
                meanwhile = Some(screen);
                fs::write(&file, "").unwrap();
            }
        }
        assert_eq!(runner.wait().unwrap().code(), Some(101));
        let screen = parser.screen().contents();
        let all = String::from_utf8(all).unwrap();
        (meanwhile.unwrap_or_else(|| panic!("{screen}")), screen, all)
    }

    #[test]
    fn a_terminal_shows_what_is_running_and_keeps_every_line() {
        for columns in [120, 80, 46] {
            let (meanwhile, screen, all) = shown(columns, &[]);
            let bars = meanwhile
                .lines()
                .filter(|line| line.starts_with("[#"))
                .count();
            assert_eq!(bars, 1, "{meanwhile}");
            assert!(all.contains("\u{1b}[31mFAILED"), "{all}");
            // Lines that the terminal has wrapped are whole again here.
            for told in [
                "test endings::passes ... ok",
                "test endings::fails ... FAILED",
                "    failed: No such file or directory (os error 2)",
                "test stories::waits_for_a_file ... ok",
                "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured",
            ] {
                let is_there = screen.lines().any(|line| line.contains(told.trim_start()));
                assert!(is_there, "{columns}: {told}\n{screen}");
            }
            assert!(!screen.contains("[#"), "the bar is left behind: {screen}");
            assert_eq!(screen.matches(" ... ").count(), 3, "{screen}");
        }
    }

    #[test]
    fn without_colours_a_terminal_shows_the_same() {
        let (meanwhile, _, all) = shown(80, &[("NO_COLOR", "1")]);
        assert!(meanwhile.contains(WAITS));
        let colours = all.split("\u{1b}[").skip(1).filter(|rest| {
            let end = rest.find(|c: char| c.is_ascii_alphabetic());
            end.is_some_and(|end| rest[end..].starts_with('m') && rest[..end] != *"0")
        });
        assert_eq!(colours.count(), 0, "{all:?}");
    }
}
