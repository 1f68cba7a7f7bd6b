//! Tests that start processes and do not end them. Most tests note the process numbers.

use clarity_chaos::{Context, Result, chaos};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// Starts a shell with `script`, and notes each line that the script prints before `ready`.
fn shell(cx: &Context, script: &str) -> Result<Child> {
    let mut child = Command::new("sh")
        .args(["-c", script])
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().ok_or("standard output is no pipe")?;
    for line in BufReader::new(stdout).lines() {
        match line?.as_str() {
            "ready" => break,
            pid => cx.note(pid),
        }
    }
    Ok(child)
}

/// A child process is still running at the end of the test.
#[chaos(non_destructive)]
fn leaves_a_child(cx: Context) -> Result {
    let _child = shell(&cx, "echo $$; echo ready; exec sleep 1000")?;
    Ok(())
}

/// Leaves a child process as `leaves_a_child` does, but is not marked `non_destructive`.
#[chaos]
fn leaves_a_child_and_may(cx: Context) -> Result {
    let _child = shell(&cx, "echo $$; echo ready; exec sleep 1000")?;
    Ok(())
}

/// A daemon in its own session is still running after the daemon's parent has ended.
#[chaos(non_destructive)]
fn leaves_a_daemon(cx: Context) -> Result {
    let script = "setsid sh -c 'echo $$; echo ready; exec sleep 1000' & exit 0";
    shell(&cx, script)?.wait()?;
    Ok(())
}

/// Hangs with a child and a daemon, which both ignore SIGTERM.
#[chaos(timeout = "1s")]
fn hangs_with_a_stubborn_tree(cx: Context) -> Result {
    let script = "trap '' TERM; echo $$; setsid sh -c 'trap \"\" TERM; echo $$; echo ready; while :; do sleep 1; done' & while :; do sleep 1; done";
    shell(&cx, script)?.wait()?;
    Ok(())
}

/// Aborts while a child is running.
#[chaos]
fn aborts_with_a_child(cx: Context) -> Result {
    let _child = shell(&cx, "echo $$; echo ready; exec sleep 1000")?;
    std::process::abort();
}

/// Kills a child process, but does not wait for the child.
#[chaos(non_destructive)]
fn ends_its_child_without_waiting(cx: Context) -> Result {
    let mut child = shell(&cx, "echo $$; echo ready; exec sleep 1000")?;
    child.kill()?;
    Ok(())
}

/// Starts a child process, notes `hanging now`, and hangs until the test is killed.
#[chaos]
fn hangs_and_says_so(cx: Context) -> Result {
    let _child = shell(&cx, "echo ready; exec sleep 1000")?;
    cx.note("hanging now");
    loop {
        std::thread::park();
    }
}

/// A child process and a grandchild are still running at the end of the test.
#[chaos(non_destructive)]
fn leaves_a_grandchild(cx: Context) -> Result {
    let _child = shell(&cx, "sleep 1000 & echo $!; echo ready; wait")?;
    Ok(())
}

/// Hangs with a child process that prints a line on SIGTERM.
#[chaos(timeout = "2s")]
fn hangs_with_a_polite_child(cx: Context) -> Result {
    let script =
        "trap 'echo the child was asked >&2; exit' TERM; echo ready; while :; do sleep 0.01; done";
    let mut child = shell(&cx, script)?;
    child.wait()?;
    loop {
        std::thread::park();
    }
}

/// Fifty daemons with one child process each are still running at the end of the test.
#[chaos(non_destructive)]
fn leaves_a_storm(cx: Context) -> Result {
    let script = "for i in $(seq 50); do setsid sh -c 'sleep 1000 & exec sleep 1000' & done; echo $$; echo ready";
    shell(&cx, script)?.wait()?;
    Ok(())
}
