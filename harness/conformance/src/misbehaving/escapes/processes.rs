//! Attempts to reach processes outside the sandbox. Environment variables identify the targets.

use super::{only_inside, refused};
use clarity_chaos::{Context, Result, chaos};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, kill_process, prlimit, setpriority_process,
    test_kill_process,
};
use std::env;
use std::fs::{self, File};
use std::process::Command;

fn runner() -> Result<Pid> {
    let number: i32 = env::var("MISBEHAVING_RUNNER")?.parse()?;
    Pid::from_raw(number).ok_or_else(|| "not a process number".into())
}

/// Tries to signal the runner, and to open the runner's memory and environment.
#[chaos(non_destructive)]
fn runner_is_out_of_reach(cx: Context) -> Result {
    let runner = runner()?;
    let number = runner.as_raw_nonzero();
    // ESRCH: no such process. In the sandbox's PID namespace, the runner's number can belong to
    // another process. The test must not reach that process's memory either.
    const ESRCH: i32 = 3;
    match test_kill_process(runner) {
        Err(error) if error.raw_os_error() == ESRCH => cx.note("signal: ESRCH"),
        attempt => refused(&cx, "signal", attempt)?,
    }
    refused(
        &cx,
        "memory",
        File::options()
            .write(true)
            .open(format!("/proc/{number}/mem")),
    )?;
    refused(
        &cx,
        "environment",
        fs::read(format!("/proc/{number}/environ")),
    )?;
    let traced = Command::new("sh")
        .args([
            "-c",
            &format!("test -r /proc/{number}/maps && cat /proc/{number}/maps"),
        ])
        .output()?;
    if traced.status.success() && !traced.stdout.is_empty() {
        return Err("escaped: the runner's memory is laid open".into());
    }
    Ok(())
}

/// Tries to trace the runner. Success would stop the runner.
#[chaos(non_destructive, harmful)]
fn tracing(cx: Context) -> Result {
    use nix::errno::Errno;
    only_inside(&cx)?;
    let runner = nix::unistd::Pid::from_raw(runner()?.as_raw_nonzero().get());
    match nix::sys::ptrace::attach(runner) {
        Err(Errno::ESRCH) => cx.note("trace: ESRCH"),
        attempt => refused(&cx, "trace", attempt)?,
    }
    Ok(())
}

/// The test and the runner are in different namespaces of System V IPC.
#[chaos(non_destructive)]
fn system_v_ipc(cx: Context) -> Result {
    let own = fs::read_link("/proc/self/ns/ipc")?;
    if own.as_os_str() == env::var_os("MISBEHAVING_IPC").ok_or("MISBEHAVING_IPC is not set")? {
        return Err("escaped: the namespace of IPC is the runner's".into());
    }
    cx.note("ipc: another namespace");
    Ok(())
}

/// Tries to lower the supervisor's limits and priority, which later tests would inherit.
#[chaos(non_destructive, harmful)]
fn the_supervisors_limits(cx: Context) -> Result {
    only_inside(&cx)?;
    let supervisor = getppid().ok_or("the test has no parent process")?;
    let few = Rlimit {
        current: Some(64),
        maximum: Some(64),
    };
    let limited = prlimit(Some(supervisor), Resource::Nofile, few);
    refused(&cx, "limits of the supervisor", limited)?;
    let slowed = setpriority_process(Some(supervisor), 19);
    refused(&cx, "priority of the supervisor", slowed)?;
    // The test is allowed to change its own limits and priority.
    let own = getrlimit(Resource::Nofile);
    prlimit(None, Resource::Nofile, own)?;
    setpriority_process(None, 19)?;
    Ok(())
}

/// Tries to add a kernel key, and to describe the session keyring (`keyctl`). No namespace
/// separates kernel keys.
#[chaos(non_destructive)]
fn keys(cx: Context) -> Result {
    use nix::libc::{SYS_add_key, SYS_keyctl, syscall};
    const SESSION_KEYRING: i32 = -3;
    const DESCRIBE: i32 = 6;
    let printed = |result| match result {
        -1 => Err(std::io::Error::last_os_error()),
        key => Ok(key),
    };
    // SAFETY: the C strings outlive the call, and the call only reads them.
    let added = unsafe {
        let (kind, name) = (c"user".as_ptr(), c"harm".as_ptr());
        syscall(SYS_add_key, kind, name, c"x".as_ptr(), 1, SESSION_KEYRING)
    };
    refused(&cx, "add a key", printed(added))?;
    // SAFETY: the call gets no buffer, so it writes nothing.
    let seen = unsafe { syscall(SYS_keyctl, DESCRIBE, SESSION_KEYRING, 0, 0) };
    refused(&cx, "see the keys", printed(seen))
}

/// Tries to open another process's terminal for writing.
#[chaos(non_destructive)]
fn terminals(cx: Context) -> Result {
    let Ok(terminal) = env::var("MISBEHAVING_TERMINAL") else {
        cx.skip("MISBEHAVING_TERMINAL is not set")?;
        return Ok(());
    };
    let open = File::options().write(true).open(terminal);
    refused(&cx, "another terminal", open)?;
    // The test is allowed to open a terminal of its own.
    let own = nix::pty::openpty(None, None)?;
    nix::unistd::write(&own.slave, b"for the other side")?;
    Ok(())
}

/// `/proc` shows only the processes of the sandbox.
#[chaos(non_destructive)]
fn others_are_not_seen(cx: Context) -> Result {
    let seen = fs::read_dir("/proc")?.flatten().filter(|entry| {
        let name = entry.file_name();
        name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
    });
    let seen = seen.count();
    // At most three: the supervisor, this process, and perhaps a process that is ending.
    if seen > 3 {
        return Err(format!("escaped: {seen} processes are seen").into());
    }
    cx.note("others: not seen");
    Ok(())
}

/// Tries to kill the supervisor, which is process 1 in the sandbox and survives.
#[chaos(non_destructive, harmful)]
fn the_supervisor_survives(cx: Context) -> Result {
    let supervisor = getppid().ok_or("the test has no parent process")?;
    if supervisor.as_raw_nonzero().get() != 1 {
        cx.skip("the supervisor is no process 1 here")?;
    }
    match kill_process(supervisor, Signal::KILL) {
        // The kernel shields process 1 from signals that are sent inside its namespace.
        Ok(()) => cx.note("kill the supervisor: no effect"),
        attempt => refused(&cx, "kill the supervisor", attempt)?,
    }
    test_kill_process(supervisor).or_else(|error| match error {
        rustix::io::Errno::PERM => Ok(()),
        error => Err(error),
    })?;
    Ok(())
}
