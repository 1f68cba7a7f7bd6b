//! On terminals: a bar that shows what is running, and wipes nothing out.

use super::{FAILS, WAITS};
use crate::suite;
use clarity_chaos_conformance::Suite;
use nix::pty::{Winsize, openpty};
use std::fs::{self, File};
use std::io::Read as _;
use std::num::NonZero;
use std::process::Command;
use vt100::Parser;

/// A terminal of this width, and the command whose standard output and error it is.
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

/// Reads to the end of what is written to the terminal, and calls `seen` with the screen each time that something came. Gives the last screen, and all that was written.
fn watch(mut terminal: File, columns: u16, mut seen: impl FnMut(&str)) -> (String, String) {
    let cells = |count| NonZero::new(count).unwrap();
    let mut parser = Parser::new(cells(ROWS), cells(columns), 0);
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        all.extend_from_slice(&buffer[..count]);
        parser.process(&buffer[..count]);
        seen(&parser.screen().contents());
    }
    (parser.screen().contents(), String::from_utf8(all).unwrap())
}

/// Whether the line below the bar names the test, however long it has been running. The bar fills its own line, so for the terminal this one goes on with it.
fn is_running(screen: &str, test: &str) -> bool {
    let mut lines = screen.lines();
    lines.any(|line| (line.starts_with('[') || line.starts_with(test)) && line.contains(test))
}

/// Runs a failure beside a test that waits until what is running has been shown on a terminal of this width. Gives the screen when that was so,
/// the one at the end, and all that was written.
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
    // The runner's ends of the terminal are the last ones then.
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
    assert_eq!(runner.wait().unwrap().code(), Some(101));
    (meanwhile.unwrap_or_else(|| panic!("{screen}")), screen, all)
}

#[test]
fn a_terminal_shows_what_is_running_and_keeps_every_line() {
    for columns in [120, 80, 46] {
        let (meanwhile, screen, all) = shown(columns, &[], &[]);
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

/// What else is written to the terminal while the bar is there is not wiped out by it.
#[test]
fn the_bar_wipes_nothing_out() {
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
    let mut is_asked = false;
    let (screen, _) = watch(terminal, 100, |screen| {
        if !is_asked && is_running(screen, "endings::waits_without_a_limit") {
            is_asked = true;
            let pid = nix::unistd::Pid::from_raw(runner.id().try_into().unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        }
    });
    assert_eq!(runner.wait().unwrap().code(), Some(130));
    assert!(screen.contains("interrupted: ending the tests"), "{screen}");
    assert!(!screen.contains("[#") && !screen.contains("[>"), "{screen}");

    // A test in a thread of the runner prints for itself: then there is no bar.
    let (terminal, mut command) = on_terminal(&suite, 100);
    command.args(["--exact", "endings::passes_and_tells"]);
    command.env("CHAOS_ISOLATION", "thread");
    let mut runner = command.spawn().unwrap();
    drop(command);
    let (screen, _) = watch(terminal, 100, |_| {});
    assert_eq!(runner.wait().unwrap().code(), Some(0));
    assert!(screen.contains("printed as an error"), "{screen}");
    assert!(!screen.contains("[#") && !screen.contains("[>"), "{screen}");
}
