//! Processes that tests start and do not end. Each test notes a line for every process.

use clarity_chaos::{Context, Result, chaos};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// Starts a shell with `script`, and notes the lines that it prints before `ready`.
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

/// As `leaves_a_child`, without the mark `non_destructive`.
#[chaos]
fn leaves_a_child_and_may(cx: Context) -> Result {
    let _child = shell(&cx, "echo $$; echo ready; exec sleep 1000")?;
    Ok(())
}

/// A daemon with its own session, whose parent has ended, is still running.
#[chaos(non_destructive)]
fn leaves_a_daemon(cx: Context) -> Result {
    let script = "setsid sh -c 'echo $$; echo ready; exec sleep 1000' & exit 0";
    shell(&cx, script)?.wait()?;
    Ok(())
}

/// Hangs with a child that ignores SIGTERM, and a daemon that does so too.
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

/// Kills its child, and does not wait for it.
#[chaos(non_destructive)]
fn ends_its_child_without_waiting(cx: Context) -> Result {
    let mut child = shell(&cx, "echo $$; echo ready; exec sleep 1000")?;
    child.kill()?;
    Ok(())
}

/// Hangs with a child until it is killed, and notes when it starts to hang.
#[chaos]
fn hangs_and_says_so(cx: Context) -> Result {
    let _child = shell(&cx, "echo ready; exec sleep 1000")?;
    cx.note("hanging now");
    loop {
        std::thread::park();
    }
}

/// A child and its own child are still running at the end of the test.
#[chaos(non_destructive)]
fn leaves_a_grandchild(cx: Context) -> Result {
    let _child = shell(&cx, "sleep 1000 & echo $!; echo ready; wait")?;
    Ok(())
}

/// Hangs with a child that prints a line when it gets SIGTERM.
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

/// Fifty daemons, each with its own child, are still running.
#[chaos(non_destructive)]
fn leaves_a_storm(cx: Context) -> Result {
    let script = "for i in $(seq 50); do setsid sh -c 'sleep 1000 & exec sleep 1000' & done; echo $$; echo ready";
    shell(&cx, script)?.wait()?;
    Ok(())
}
