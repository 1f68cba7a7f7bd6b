//! The progress bar on a terminal names the running tests, and erases no printed line.

use super::{FAILS, WAITS};
use crate::suite;
use clarity_chaos_conformance::Suite;
use clarity_chaos_conformance::limits::{RUN_LIMIT, wait};
use nix::pty::{Winsize, openpty};
use std::fs::{self, File};
use std::io::Read as _;
use std::num::NonZero;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;
use vt100::Parser;

/// Returns a terminal of width `columns`, and a command that writes to the terminal.
fn on_terminal(suite: &Suite, columns: u16) -> (File, Command) {
    let size = Winsize {
        ws_row: ROWS,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pair = openpty(Some(&size), None).unwrap();
    let mut command = suite.command();
    command
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .stdout(pair.slave.try_clone().unwrap())
        .stderr(pair.slave);
    (File::from(pair.master), command)
}

const ROWS: u16 = 200;

/// Reads the terminal until its output ends, and calls `seen` with the screen after each read.
///
/// Returns the last screen, and all bytes as text.
fn watch(mut terminal: File, columns: u16, mut seen: impl FnMut(&str)) -> (String, String) {
    let cells = |count| NonZero::new(count).unwrap();
    let mut parser = Parser::new(cells(ROWS), cells(columns), 0);
    let mut all = Vec::new();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = terminal.read(&mut buffer) {
            if sender.send(buffer[..count].to_owned()).is_err() {
                break;
            }
        }
    });
    let deadline = Instant::now() + RUN_LIMIT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left) {
            Ok(bytes) => {
                all.extend_from_slice(&bytes);
                parser.process(&bytes);
                seen(&parser.screen().contents());
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                panic!("the terminal is still open: {}", parser.screen().contents())
            }
        }
    }
    (parser.screen().contents(), String::from_utf8(all).unwrap())
}

/// Whether the line below the bar names the test.
///
/// Also accepts the name in the bar's own line: the screen joins both lines if the bar is as wide
/// as the terminal.
fn is_running(screen: &str, test: &str) -> bool {
    let mut lines = screen.lines();
    lines.any(|line| (line.starts_with('[') || line.starts_with(test)) && line.contains(test))
}

/// Runs a failing, a passing and a waiting test. The waiting test ends once the screen names it.
///
/// Returns three texts: the screen that named the waiting test, the last screen, and the whole
/// output.
fn shown(columns: u16, more: &[&str], variables: &[(&str, &str)]) -> (String, String, String) {
    let suite = suite();
    let file = suite.tmp().join("file");
    let (terminal, mut command) = on_terminal(&suite, columns);
    command
        .args([
            "--exact",
            FAILS,
            "endings::passes",
            WAITS,
            "--test-threads",
            "2",
        ])
        .args(more)
        .env("MISBEHAVING_FILE", &file)
        .envs(variables.iter().copied());
    let mut runner = command.spawn().unwrap();
    // Now only the runner has the terminal open for writing, so the output ends with the runner.
    drop(command);
    let mut meanwhile = None;
    let (screen, all) = watch(terminal, columns, |screen| {
        let bar = screen.lines().find(|line| line.starts_with('['));
        let counted = bar.is_some_and(|bar| bar.contains("2/3 tests, 1 failed"));
        if meanwhile.is_none() && counted && is_running(screen, WAITS) {
            meanwhile = Some(screen.to_owned());
            fs::write(&file, "").unwrap();
        }
    });
    assert_eq!(wait(&mut runner).code(), Some(101));
    (meanwhile.unwrap_or_else(|| panic!("{screen}")), screen, all)
}

#[test]
fn terminal_names_running_tests_and_keeps_every_line() {
    for columns in [120, 80, 46] {
        let (meanwhile, screen, all) = shown(columns, &[], &[]);
        let bars = meanwhile
            .lines()
            .filter(|line| line.starts_with("[#"))
            .count();
        assert_eq!(bars, 1, "{meanwhile}");
        assert!(all.contains("\u{1b}[31mFAILED"), "{all}");
        // The parser joins lines that the terminal has wrapped.
        for printed in [
            "test endings::passes ... ok",
            "test endings::fails ... FAILED",
            "    failed: No such file or directory (os error 2)",
            "test stories::waits_for_a_file ... ok",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured",
        ] {
            let is_there = screen
                .lines()
                .any(|line| line.contains(printed.trim_start()));
            assert!(is_there, "{columns}: {printed}\n{screen}");
        }
        assert!(!screen.contains("[#"), "the bar is left behind: {screen}");
        assert_eq!(screen.matches(" ... ").count(), 3, "{screen}");
    }
}

#[test]
fn terminal_without_colours_names_running_tests_too() {
    let never = shown(80, &["--color", "never"], &[]);
    let no_colour = shown(80, &[], &[("NO_COLOR", "1")]);
    for (meanwhile, _, all) in [never, no_colour] {
        assert!(meanwhile.contains(WAITS));
        let colours = all.split("\u{1b}[").skip(1).filter(|rest| {
            let end = rest.find(|c: char| c.is_ascii_alphabetic());
            end.is_some_and(|end| rest[end..].starts_with('m') && rest[..end] != *"0")
        });
        assert_eq!(colours.count(), 0, "{all:?}");
    }
}

#[test]
fn bar_erases_no_other_output() {
    let suite = suite();
    let (terminal, mut command) = on_terminal(&suite, 100);
    command.args([
        "--exact",
        "endings::waits_without_a_limit",
        "--timeout",
        "60s",
    ]);
    let mut runner = command.spawn().unwrap();
    drop(command);
    let mut is_interrupted = false;
    let (screen, _) = watch(terminal, 100, |screen| {
        if !is_interrupted && is_running(screen, "endings::waits_without_a_limit") {
            is_interrupted = true;
            let pid = nix::unistd::Pid::from_raw(runner.id().try_into().unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        }
    });
    assert_eq!(wait(&mut runner).code(), Some(130));
    assert!(
        screen.contains("interrupted: ending the running tests"),
        "{screen}"
    );
    assert!(!screen.contains("[#") && !screen.contains("[>"), "{screen}");

    // With the isolation `thread`, a test writes directly to the terminal, so no bar is drawn.
    let (terminal, mut command) = on_terminal(&suite, 100);
    command.args(["--exact", "endings::passes_and_tells"]);
    command.env("CHAOS_ISOLATION", "thread");
    let mut runner = command.spawn().unwrap();
    drop(command);
    let (screen, _) = watch(terminal, 100, |_| {});
    assert_eq!(wait(&mut runner).code(), Some(0));
    assert!(screen.contains("printed as an error"), "{screen}");
    assert!(!screen.contains("[#") && !screen.contains("[>"), "{screen}");
}
