//! Programs that tests start.

use clarity_chaos::fault::{Kill, Pause, Undone};
use clarity_chaos::process::{Process, ProcessError};
use clarity_chaos::{Context, Result, chaos};
use std::process::Command;
use std::time::Duration;

/// Long enough for what must come, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

fn shell(cx: &Context, script: &str) -> Result<Process> {
    Ok(cx.spawn("shell", Command::new("sh").args(["-c", script]))?)
}

/// What it prints is read line by line, and its end waited for.
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

/// A line that does not come is not waited for for ever.
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

/// Killed at once; the fault cannot be taken back, and says so.
#[chaos(non_destructive)]
fn is_killed(cx: Context) -> Result {
    let process = shell(&cx, "exec sleep 1000")?;
    let killed = cx.inject(Kill::of(&process))?;
    assert!(!process.wait(PATIENCE)?.success());
    assert!(matches!(killed.undo(), Undone::Superseded { .. }));
    assert!(cx.inject(Kill::of(&process)).is_err(), "it has ended");
    Ok(())
}

/// Killed at a moment that is drawn; spared when the fault is undone before.
#[chaos(non_destructive)]
fn is_killed_later(cx: Context) -> Result {
    let process = shell(&cx, "exec sleep 1000")?;
    let spared = cx.inject(Kill::of(&process).within(Duration::from_secs(1_000_000)))?;
    assert_eq!(spared.undo(), Undone::Restored);
    assert!(process.status()?.is_none());
    cx.inject(Kill::of(&process).within(Duration::from_millis(20)))?
        .until_end();
    process.wait(PATIENCE)?;
    Ok(())
}

/// Stopped, it does nothing; continued, it goes on.
#[chaos(non_destructive)]
fn is_paused(cx: Context) -> Result {
    let process = shell(&cx, "echo tick; exec sleep 1000")?;
    process.wait_for_line("tick", PATIENCE)?;
    let paused = cx.inject(Pause::of(&process))?;
    let state = || -> Result<String> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id()))?;
        let (_, rest) = stat.rsplit_once(") ").ok_or("no state")?;
        Ok(rest[..1].to_owned())
    };
    // The signal is taken when it is next in the kernel.
    while state()? != "T" {
        std::thread::yield_now();
    }
    assert_eq!(paused.undo(), Undone::Restored);
    assert_ne!(state()?, "T");
    Ok(())
}

/// A paused process that nobody continues ends with the test.
#[chaos(non_destructive)]
fn is_left_paused(cx: Context) -> Result {
    let process = shell(&cx, "exec sleep 1000")?;
    cx.inject(Pause::of(&process))?.until_end();
    drop(process);
    Ok(())
}

/// A program that is not there.
#[chaos(non_destructive)]
fn is_not_there(cx: Context) -> Result {
    assert!(
        cx.spawn("nothing", &mut Command::new("no such program"))
            .is_err()
    );
    Ok(())
}
