//! Set-ups of explorations.

use super::{NEW, OLD, old_or_new, rightly};
use clarity_chaos::explore::ExploreError;
use clarity_chaos::{Context, Result, chaos};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

/// Writes the old text, and leaves a thread that never ends.
fn set_up(dir: &Path) -> Result {
    fs::write(dir.join("current"), OLD)?;
    thread::Builder::new()
        .name("endless".to_owned())
        .spawn(|| {
            loop {
                thread::park();
            }
        })?;
    Ok(())
}

fn explore(cx: &Context) -> Result {
    cx.crash_everywhere(rightly, old_or_new)?;
    Ok(())
}

/// The set-up in the test's own process leaves a thread.
#[chaos(non_destructive)]
fn in_the_test(cx: Context) -> Result {
    set_up(cx.dir())?;
    explore(&cx)
}

/// The same set-up in a process of its own.
#[chaos(non_destructive)]
fn in_a_process_of_its_own(cx: Context) -> Result {
    cx.prepare(set_up)?;
    explore(&cx)
}

/// The set-up starts a process that would write later, and one that leaves its group.
#[chaos(non_destructive)]
fn processes_of_the_set_up_are_ended(cx: Context) -> Result {
    let mark = format!("# set-up of {}", std::process::id());
    let script = format!("while :; do echo >> ticks; done {mark}");
    cx.prepare(|dir| {
        Command::new("sh")
            .args(["-c", &script])
            .current_dir(dir)
            .spawn()?;
        Command::new("setsid")
            .args(["sh", "-c", &script])
            .current_dir(dir)
            .spawn()?;
        Ok(())
    })?;
    for process in fs::read_dir("/proc")?.flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        assert!(!line.contains(&mark), "it still runs: {line}");
    }
    Ok(())
}

/// An error, a panic and an exit of a set-up are the test's error.
#[chaos(non_destructive)]
fn failures_of_the_set_up_come_back(cx: Context) -> Result {
    let failure = |prepared| match prepared {
        Err(ExploreError::SetUp(text)) => text,
        other => panic!("{other:?}"),
    };
    let error = failure(cx.prepare(|_| -> Result { Err("no such luck".into()) }));
    assert_eq!(error, "no such luck");
    let panic = failure(cx.prepare(|dir| {
        assert!(!dir.exists(), "it is there");
        Ok(())
    }));
    assert_eq!(panic, "it panicked: it is there");
    let exit = failure(cx.prepare(|_| -> Result { std::process::exit(3) }));
    assert_eq!(exit, "it exited with 3");
    // A later set-up is not disturbed.
    cx.prepare(|dir| Ok(fs::write(dir.join("current"), NEW)?))?;
    assert_eq!(fs::read_to_string(cx.dir().join("current"))?, NEW);
    Ok(())
}
