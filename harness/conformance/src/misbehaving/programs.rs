//! Tests that start other programs.

use crate::waiting::PATIENCE;
use clarity_chaos::fault::{Kill, Pause, UndoOutcome};
use clarity_chaos::process::{Process, ProcessError};
use clarity_chaos::{Context, Result, chaos};
use std::process::Command;
use std::time::Duration;

fn shell(cx: &Context, script: &str) -> Result<Process> {
    Ok(cx.spawn("shell", Command::new("sh").args(["-c", script]))?)
}

/// Reads a program's output line by line, and waits until the program ends.
#[chaos(non_destructive)]
fn prints_and_ends(cx: Context) -> Result {
    let process = shell(
        &cx,
        "echo one; echo two >&2; echo one more; printf three; exit 7",
    )?;
    assert_eq!(process.wait_for_line("one", PATIENCE)?, "one");
    assert_eq!(process.wait_for_line("one", PATIENCE)?, "one more");
    assert_eq!(process.wait(PATIENCE)?.code(), Some(7));
    assert_eq!(process.wait_for_line("three", PATIENCE)?, "three");
    assert_eq!(process.lines(), ["one", "two", "one more", "three"]);
    let missing = process.wait_for_line("four", PATIENCE);
    assert!(
        matches!(missing, Err(ProcessError::NoSuchLine { .. })),
        "{missing:?}"
    );
    Ok(())
}

/// Waits for a line that the program never prints. The wait fails at its limit.
#[chaos(non_destructive)]
fn says_nothing(cx: Context) -> Result {
    let process = shell(&cx, "echo something else; exec sleep 1000")?;
    process.wait_for_line("something", PATIENCE)?;
    let soon = Duration::from_millis(50);
    let missing = process
        .wait_for_line("nothing", soon)
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("did not come within 50ms") && missing.contains("something else"),
        "{missing}"
    );
    assert!(process.wait(soon).is_err());
    assert!(process.status()?.is_none());
    Ok(())
}

/// A kill takes effect at once and cannot be undone.
#[chaos(non_destructive)]
fn is_killed(cx: Context) -> Result {
    let process = shell(&cx, "exec sleep 1000")?;
    let killed = cx.inject(Kill::new(&process))?;
    assert!(!process.wait(PATIENCE)?.success());
    assert!(matches!(killed.undo(), UndoOutcome::Superseded { .. }));
    assert!(
        cx.inject(Kill::new(&process)).is_err(),
        "the process has already ended"
    );
    Ok(())
}

/// A kill at a drawn time takes effect unless the fault is undone first.
#[chaos(non_destructive)]
fn is_killed_later(cx: Context) -> Result {
    let process = shell(&cx, "exec sleep 1000")?;
    let spared = cx.inject(Kill::new(&process).within(Duration::from_secs(1_000_000)))?;
    assert_eq!(spared.undo(), UndoOutcome::Restored);
    assert!(process.status()?.is_none());
    cx.inject(Kill::new(&process).within(Duration::from_millis(20)))?
        .until_end();
    process.wait(PATIENCE)?;
    Ok(())
}

/// A paused program has stopped when the fault is in effect, and goes on when it is undone.
#[chaos(non_destructive)]
fn is_paused(cx: Context) -> Result {
    let process = shell(&cx, "echo tick; while :; do :; done")?;
    process.wait_for_line("tick", PATIENCE)?;
    let state = || -> Result<String> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id()))?;
        let (_, rest) = stat.rsplit_once(") ").ok_or("no state")?;
        Ok(rest[..1].to_owned())
    };
    // A busy program stops only when it next enters the kernel.
    for _ in 0..100 {
        let paused = cx.inject(Pause::new(&process))?;
        assert_eq!(state()?, "T");
        assert_eq!(paused.undo(), UndoOutcome::Restored);
        assert_ne!(state()?, "T");
    }
    Ok(())
}

/// The harness ends even a process that is still paused when the test ends.
#[chaos(non_destructive)]
fn is_left_paused(cx: Context) -> Result {
    let process = shell(&cx, "exec sleep 1000")?;
    cx.inject(Pause::new(&process))?.until_end();
    drop(process);
    Ok(())
}

/// Starting a program that does not exist returns an error.
#[chaos(non_destructive)]
fn is_not_there(cx: Context) -> Result {
    assert!(
        cx.spawn("nothing", &mut Command::new("no such program"))
            .is_err()
    );
    Ok(())
}
