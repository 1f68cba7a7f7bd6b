//! `SIGTERM` to an explored operation and to children, while a fault is in effect. The fault's
//! handler of `SIGTERM` is inherited.

use clarity_chaos::fault::Delete;
use clarity_chaos::{Context, Result, chaos};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use rustix::process::{Signal, getpid, kill_process};
use std::fs;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

fn terminate_itself() -> std::io::Result<()> {
    Ok(kill_process(getpid(), Signal::TERM)?)
}

/// Calls `work` while a fault is in effect. The fault must stay in effect.
fn with_fault(cx: &Context, work: impl FnOnce() -> Result) -> Result {
    let victim = cx.dir().join("victim");
    fs::write(&victim, "")?;
    let _deleted = cx.inject(Delete::new(&victim))?;
    work()?;
    assert!(!victim.exists(), "the fault was undone");
    Ok(())
}

/// Explores an operation while a fault is in effect.
fn explore(cx: &Context, operation: fn(&Path) -> Result) -> Result {
    let before = tempfile::tempdir()?;
    with_fault(cx, || {
        let explore = cx.explore().starting_from(before.path());
        explore.crash_everywhere(operation, |_, _| Ok(()))?;
        Ok(())
    })
}

/// Waits for a signal with a handler of Tokio.
fn handle(dir: &Path) -> Result {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build()?;
    runtime.block_on(async {
        let mut terminations = signal(SignalKind::terminate())?;
        fs::write(dir.join("before"), "")?;
        terminate_itself()?;
        tokio::time::timeout(Duration::from_secs(30), terminations.recv()).await?;
        fs::write(dir.join("after"), "")?;
        Ok(())
    })
}

/// Forks this process, and gives the end of the child.
fn end_of_fork(work: impl FnOnce() -> Result) -> Result<WaitStatus> {
    // SAFETY: the child makes system calls only, or no other thread of this process holds a lock.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let code = i32::from(work().is_err());
            // SAFETY: the call touches no memory.
            unsafe { nix::libc::_exit(code) }
        }
        ForkResult::Parent { child } => Ok(waitpid(child, None)?),
    }
}

/// Starts a program whose process terminates itself before it executes the program.
fn terminate_before_exec() -> Result {
    let mut command = Command::new("true");
    // SAFETY: the child makes system calls only.
    let status = unsafe { command.pre_exec(terminate_itself) }.status();
    assert_eq!(status?.signal(), Some(15));
    Ok(())
}

fn terminate_fork() -> Result {
    match end_of_fork(|| Ok(terminate_itself()?))? {
        WaitStatus::Signaled(_, nix::sys::signal::Signal::SIGTERM, _) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// The operation's own handler is called, and the inherited one ends nothing.
#[chaos(non_destructive)]
fn operation_has_a_handler(cx: Context) -> Result {
    explore(&cx, handle)
}

/// A fork inside of the operation has a handler of its own.
#[chaos(non_destructive)]
fn fork_has_a_handler(cx: Context) -> Result {
    explore(&cx, |dir| match end_of_fork(|| handle(dir))? {
        WaitStatus::Exited(_, 0) => Ok(()),
        other => Err(format!("{other:?}").into()),
    })
}

/// Children without a handler die of the signal.
#[chaos(non_destructive)]
fn children_without_a_handler_die(cx: Context) -> Result {
    explore(&cx, |dir| {
        fs::write(dir.join("file"), "")?;
        terminate_fork()?;
        terminate_before_exec()
    })
}

/// The same children of the test itself.
#[chaos(non_destructive)]
fn children_of_the_test_die(cx: Context) -> Result {
    with_fault(&cx, || {
        terminate_fork()?;
        terminate_before_exec()
    })
}
