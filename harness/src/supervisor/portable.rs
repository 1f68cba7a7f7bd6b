//! The supervisor on systems without a subreaper.
//!
//! On Unix, the supervisor kills the test's process group; on Windows, it kills the test's process
//! tree. A daemon survives both.

use crate::data::case::Case;
use crate::data::duration::deadline;
use crate::data::exit_status::ExitStatus;
use crate::data::process_report::{ProcessReport, StopReason};
use crate::supervisor::protocol::{RunnerMessage, SupervisorMessage};
use crate::supervisor::role::SupervisorConfig;
use clarity_chaos_record::Isolation;
use std::io;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// The interval at which a wait checks whether the test's process has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The state of this process as a supervisor. A separate thread reads the runner's messages.
#[derive(Debug)]
pub(super) struct Supervisor {
    messages: Receiver<io::Result<RunnerMessage>>,
    /// Set when standard input is closed: the runner has died.
    runner_died: Arc<AtomicBool>,
    /// Set by the runner's interrupt message: the running case must end.
    interrupted: Arc<AtomicBool>,
    /// Whether the runner has asked to stop the running case.
    suspended: Arc<AtomicBool>,
}

impl Supervisor {
    pub(super) fn new(config: &SupervisorConfig, _private: Vec<PathBuf>) -> io::Result<Self> {
        if config.isolation != Isolation::Exec {
            return Err(io::Error::other(format!(
                "isolation `{}` is not supported on this system: use --isolation exec",
                config.isolation
            )));
        }
        let (sender, messages) = mpsc::channel();
        let runner_died = Arc::new(AtomicBool::new(false));
        let interrupted = Arc::new(AtomicBool::new(false));
        let suspended = Arc::new(AtomicBool::new(false));
        let (died, interrupt) = (Arc::clone(&runner_died), Arc::clone(&interrupted));
        let suspend = Arc::clone(&suspended);
        thread::spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(RunnerMessage::Interrupt) => interrupt.store(true, Ordering::Release),
                    Ok(RunnerMessage::Suspend) => suspend.store(true, Ordering::Release),
                    Ok(RunnerMessage::Resume) => suspend.store(false, Ordering::Release),
                    message => {
                        if sender.send(message.map_err(Into::into)).is_err() {
                            break;
                        }
                    }
                }
            }
            died.store(true, Ordering::Release);
        });
        Ok(Self {
            messages,
            runner_died,
            interrupted,
            suspended,
        })
    }

    /// Waits for the runner's next message. Returns `None` when the runner has died.
    pub(super) fn next_message(&mut self) -> io::Result<Option<RunnerMessage>> {
        self.messages.recv().ok().transpose()
    }

    /// Whether the runner has died.
    pub(super) fn is_abandoned(&self) -> bool {
        self.runner_died.load(Ordering::Acquire)
    }

    /// Runs a case to its end. Returns `None` when the runner died first. The test then gets its
    /// grace period to undo its faults.
    pub(super) fn supervise(&mut self, case: &Case) -> io::Result<Option<ProcessReport>> {
        let spec = &case.spec;
        let runner_died = || self.runner_died.load(Ordering::Acquire);
        let began = Instant::now();
        let mut test = super::execute(case, Err(String::new()))?;

        let interrupted = || self.interrupted.load(Ordering::Acquire);
        let mut stop_reason = None;
        // A test whose runner has died must not stay stopped.
        let suspended = || self.suspended.load(Ordering::Acquire) && !runner_died();
        let mut status = wait_for(&mut test, deadline(spec.timeout), suspended, || {
            runner_died() || interrupted()
        })?;
        if status.is_none() {
            stop_reason = Some(if interrupted() {
                StopReason::Interrupted
            } else {
                StopReason::TimedOut
            });
            terminate(&test);
            status = wait_for(&mut test, deadline(spec.grace), suspended, || false)?;
        }
        kill_tree(&mut test);
        let status = match status {
            Some(status) => status,
            None => test.wait()?,
        };
        if runner_died() {
            return Ok(None);
        }
        let status = ExitStatus::from(status);
        Ok(Some(ProcessReport {
            stop_reason,
            ..ProcessReport::new(status, Isolation::Exec, began.elapsed())
        }))
    }
}

/// Waits for the end of the test. Returns `None` at the deadline, or when `give_up` returns true.
/// While `suspended` returns true, the test is stopped, and the deadline moves.
fn wait_for(
    test: &mut Child,
    mut deadline: Instant,
    suspended: impl Fn() -> bool,
    give_up: impl Fn() -> bool,
) -> io::Result<Option<std::process::ExitStatus>> {
    loop {
        if suspended() {
            let began = Instant::now();
            stop(test);
            super::send(&SupervisorMessage::Suspended)?;
            while suspended() && !give_up() {
                thread::sleep(POLL_INTERVAL);
            }
            resume(test);
            deadline += began.elapsed();
        }
        if let Some(status) = test.try_wait()? {
            return Ok(Some(status));
        }
        if give_up() || Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

#[cfg(unix)]
fn terminate(test: &Child) {
    let pid = rustix::process::Pid::from_child(test);
    let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::TERM);
}

#[cfg(unix)]
fn stop(test: &Child) {
    let pid = rustix::process::Pid::from_child(test);
    let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::STOP);
}

#[cfg(unix)]
fn resume(test: &Child) {
    let pid = rustix::process::Pid::from_child(test);
    let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::CONT);
}

/// Does nothing: Windows has no job control.
#[cfg(not(unix))]
fn stop(_test: &Child) {}

#[cfg(not(unix))]
fn resume(_test: &Child) {}

#[cfg(unix)]
fn kill_tree(test: &mut Child) {
    let pid = rustix::process::Pid::from_child(test);
    let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    let _ = test.kill();
}

/// Does nothing: Windows has no signal that asks a process without a window to end.
#[cfg(not(unix))]
fn terminate(_test: &Child) {}

#[cfg(not(unix))]
fn kill_tree(test: &mut Child) {
    // `taskkill` finds the processes of the tree by the IDs of their parents.
    let _ = std::process::Command::new("taskkill")
        .args(["/T", "/F", "/PID", &test.id().to_string()])
        .output();
    let _ = test.kill();
}
