//! Operations of several processes.

use clarity_chaos::{Context, Result, chaos};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// Returns a command that runs a script of the shell in a directory.
fn shell(dir: &Path, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(dir);
    command
}

/// Runs a script of the shell in a directory.
fn run(dir: &Path, script: &str) -> Result {
    match shell(dir, script).status()? {
        status if status.success() => Ok(()),
        status => Err(format!("{script}: {status}").into()),
    }
}

/// Forks this process, runs `work` in the child, and gives the child's exit code.
fn fork(work: impl FnOnce() -> Result) -> Result<i32> {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};
    // SAFETY: the explored operation has one thread that holds locks, and this is it.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let code = i32::from(work().is_err());
            // SAFETY: the call touches no memory.
            unsafe { nix::libc::_exit(code) }
        }
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, code) => Ok(code),
            other => Err(format!("{other:?}").into()),
        },
    }
}

/// A shell and its children, a child without calls on files, and another child.
#[chaos(non_destructive)]
fn children_are_numbered_as_they_are_created(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| {
            fs::create_dir(dir.join("own"))?;
            run(dir, "mkdir shell; mkdir first; mkdir second; :")?;
            Command::new("true").status()?;
            Command::new("mkdir").arg(dir.join("third")).status()?;
            assert_eq!(fork(|| Ok(fs::create_dir(dir.join("forked"))?))?, 0);
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

/// The second child makes its first call before the first child.
#[chaos(non_destructive)]
fn children_are_numbered_whichever_calls_first(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| {
            let mut first = shell(dir, "read line; exec mkdir first");
            let mut first = first.stdin(Stdio::piped()).spawn()?;
            run(dir, "exec mkdir second")?;
            first.stdin.take().ok_or("no pipe")?.write_all(b"now\n")?;
            assert!(first.wait()?.success());
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

/// A grandchild makes its first call after the death of its parent.
#[chaos(non_destructive)]
fn orphan_keeps_its_name(cx: Context) -> Result {
    const LATE: &str = r#"
        ( read line; exec mkdir late ) <&3 &
    "#;
    cx.crash_everywhere(
        |dir| {
            let (pipe, mut writer) = std::io::pipe()?;
            let mut parent = Command::new("sh");
            parent.args(["-c", &format!("exec 3<&0; {LATE}")]);
            assert!(parent.current_dir(dir).stdin(pipe).status()?.success());
            writer.write_all(b"now\n")?;
            while !dir.join("late").exists() {
                thread::yield_now();
            }
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

/// Two threads start processes, in any order.
#[chaos(non_destructive)]
fn children_of_two_threads_are_not_told_apart(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| {
            thread::scope(|scope| {
                let run = |name| move || Command::new("mkdir").arg(dir.join(name)).status();
                let threads = ["a", "b"].map(|name| scope.spawn(run(name)));
                for thread in threads {
                    assert!(thread.join().is_ok_and(|made| made.is_ok()));
                }
            });
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}
