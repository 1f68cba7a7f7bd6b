//! Supervision where there is no subreaper: the test's process, and what its process group (Unix) or
//! process tree (Windows) still tells, can be ended; a daemon escapes.

use crate::case::CaseSpec;
use crate::ending::{Ending, Exit};
use std::io::{self, Read as _};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(super) const CONTAINMENT: Result<(), &str> =
    Err("this system has no subreaper: a daemon of a test can outlive it");

/// How often the test's process is looked at.
const INTERVAL: Duration = Duration::from_millis(5);

pub(super) fn supervise(command: &mut Command, spec: &CaseSpec) -> io::Result<Option<Ending>> {
    let runner_gone = watch_runner();
    let began = Instant::now();
    let mut test = spawn(command)?;
    let gone = || runner_gone.load(Ordering::Acquire);

    let mut timed_out = false;
    let mut status = wait_for(&mut test, began + spec.timeout, gone)?;
    if status.is_none() && !gone() {
        timed_out = true;
        ask_to_end(&test);
        status = wait_for(&mut test, Instant::now() + spec.grace, gone)?;
    }
    kill_tree(&mut test);
    let status = match status {
        Some(status) => status,
        None => test.wait()?,
    };
    if gone() {
        return Ok(None);
    }
    Ok(Some(Ending {
        exit: Exit::from(status),
        timed_out,
        duration: began.elapsed(),
        left_behind: Vec::new(),
    }))
}

/// The flag is set when the runner, who holds our standard input open and never writes, is gone.
fn watch_runner() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    thread::spawn(move || {
        let _ = io::stdin().read(&mut [0]);
        set.store(true, Ordering::Release);
    });
    flag
}

fn wait_for(
    test: &mut Child,
    deadline: Instant,
    give_up: impl Fn() -> bool,
) -> io::Result<Option<std::process::ExitStatus>> {
    loop {
        if let Some(status) = test.try_wait()? {
            return Ok(Some(status));
        }
        if give_up() || Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(INTERVAL);
    }
}

#[cfg(unix)]
fn spawn(command: &mut Command) -> io::Result<Child> {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0).spawn()
}

#[cfg(unix)]
fn ask_to_end(test: &Child) {
    let pid = rustix::process::Pid::from_child(test);
    let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::TERM);
}

#[cfg(unix)]
fn kill_tree(test: &mut Child) {
    let pid = rustix::process::Pid::from_child(test);
    let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    let _ = test.kill();
}

#[cfg(not(unix))]
fn spawn(command: &mut Command) -> io::Result<Child> {
    command.spawn()
}

/// There is no polite way to end a process without a window.
#[cfg(not(unix))]
fn ask_to_end(_test: &Child) {}

#[cfg(not(unix))]
fn kill_tree(test: &mut Child) {
    // The system's own tool walks the tree by parents.
    let _ = Command::new("taskkill")
        .args(["/T", "/F", "/PID", &test.id().to_string()])
        .output();
    let _ = test.kill();
}
