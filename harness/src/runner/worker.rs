//! A worker: a supervisor process, the worker's directory, and the pipes to the process.
//!
//! The process reads each [`RunnerMessage`] as a line of its standard input. It writes each
//! [`SupervisorMessage`] as a line of its standard output.

use crate::data::case::Case;
use crate::data::process_report::ProcessReport;
use crate::data::service::VisibleServices;
use crate::runner::coverage_profile;
use crate::runner::suspensions::Suspensions;
use crate::runner::workspace::Workspace;
use crate::supervisor;
use crate::supervisor::protocol::{MESSAGE_PREFIX, RunnerMessage, SupervisorMessage};
use crate::supervisor::role::{Role, SupervisorConfig};
use clarity_chaos_record::Sandbox;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The timeout for a supervisor's first message.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The interval at which the output of a running test is bounded.
const BOUND_INTERVAL: Duration = Duration::from_millis(20);

/// A supervisor process with its directory and pipes.
#[derive(Debug)]
pub(super) struct Worker {
    process: Child,
    pub(super) sandboxed: bool,
    pub(super) processor: Option<usize>,
    pub(super) workspace: Workspace,
    pub(super) sandbox: Sandbox,
    /// The services of the run, as the worker's tests see them.
    pub(super) services: VisibleServices,
    pub(super) orders: Arc<Mutex<OrderPipe>>,
    answers: BufReader<ChildStdout>,
}

/// The pipe that carries orders to a supervisor. When the pipe closes, the supervisor knows that
/// the runner has ended.
#[derive(Debug)]
pub(super) struct OrderPipe {
    pipe: Option<ChildStdin>,
    /// Whether the supervisor has stopped the test of its case.
    pub(super) is_suspended: bool,
}

impl OrderPipe {
    pub(super) fn send(&mut self, order: &RunnerMessage) -> io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        match &mut self.pipe {
            Some(pipe) => pipe.write_all(&line),
            None => Ok(()),
        }
    }
}

impl Worker {
    /// Starts a supervisor. The inner error is the reason why the kernel refused the confinement.
    ///
    /// `profile_file` is the file for coverage data, if the environment does not name one.
    pub(super) fn start(
        post: SupervisorConfig,
        sandboxed: bool,
        profile_file: Option<&Path>,
    ) -> io::Result<Result<Self, String>> {
        let (workspace, processor) = (Workspace::open(post.worker_dir.clone())?, post.processor);
        let mut command = Role::Supervisor(post).command(Err(String::new()))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.envs(profile_file.map(|file| (coverage_profile::VARIABLE, file)));
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            // Ctrl-C sends a signal to the runner's process group. The supervisor is in another
            // group, because it must survive for the cleanup.
            command.process_group(0);
        }
        let mut process = command.spawn()?;
        let missing = || io::Error::other("a pipe of the supervisor is missing");
        let answers = process.stdout.take().ok_or_else(missing)?;
        let mut worker = Self {
            sandboxed,
            processor,
            workspace,
            sandbox: supervisor::unconfined(),
            services: VisibleServices::default(),
            orders: Arc::new(Mutex::new(OrderPipe {
                pipe: process.stdin.take(),
                is_suspended: false,
            })),
            answers: BufReader::new(answers),
            process,
        };
        match worker.answer(START_LIMIT, &Suspensions::default())? {
            SupervisorMessage::Ready(sandbox, services) => {
                worker.sandbox = sandbox;
                worker.services = services;
            }
            SupervisorMessage::Refused(reason) => return Ok(Err(reason)),
            other => return Err(unexpected(&other)),
        }
        Ok(Ok(worker))
    }

    /// Runs a case and waits for its end. The limit stands still during `suspensions`. Sends the
    /// order that `pending` returns after the order to run the case.
    ///
    /// An order that arrives before the order to run the case has no effect. So this method calls
    /// `pending` only after it has sent that order, and while it holds the lock of the pipe.
    ///
    /// # Errors
    ///
    /// When the supervisor has died, or does not answer within `limit`. A supervisor that does not
    /// answer is killed.
    pub(super) fn run(
        &mut self,
        case: &Case,
        limit: Duration,
        suspensions: &Suspensions,
        pending: impl FnOnce() -> Option<RunnerMessage>,
    ) -> io::Result<ProcessReport> {
        {
            let mut orders = locked(&self.orders);
            orders.is_suspended = false;
            orders.send(&RunnerMessage::Run(Box::new(case.clone())))?;
            if let Some(order) = pending() {
                orders.send(&order)?;
            }
        }
        loop {
            match self.answer(limit, suspensions)? {
                SupervisorMessage::CaseEnded(ending) => return Ok(ending),
                SupervisorMessage::Suspended => locked(&self.orders).is_suspended = true,
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Reads the supervisor's next message. Kills the supervisor if no data arrives within `limit`,
    /// without the time of `suspensions`. Meanwhile bounds the output of the running test.
    fn answer(
        &mut self,
        limit: Duration,
        suspensions: &Suspensions,
    ) -> io::Result<SupervisorMessage> {
        loop {
            let began = Instant::now();
            let mut is_late = false;
            while self.answers.buffer().is_empty() && !is_late {
                if is_readable(self.answers.get_ref(), limit.min(BOUND_INTERVAL))? {
                    break;
                }
                self.workspace.bound_output();
                is_late = suspensions.active_time(began) >= limit;
            }
            if is_late {
                self.process.kill()?;
                return Err(io::Error::other(format!(
                    "the supervisor was killed: it did not answer within {limit:?}"
                )));
            }
            let mut line = String::new();
            if self.answers.read_line(&mut line)? == 0 {
                let status = self.process.wait()?;
                return Err(io::Error::other(format!(
                    "the supervisor ended without an answer ({status})"
                )));
            }
            if let Some(answer) = line.strip_prefix(MESSAGE_PREFIX) {
                return Ok(serde_json::from_str(answer)?);
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut orders = locked(&self.orders);
        // Sending fails only if the supervisor is dead.
        let _ = orders.send(&RunnerMessage::Shutdown);
        orders.pipe = None;
        drop(orders);
        let _ = self.process.wait();
    }
}

fn unexpected(answer: &SupervisorMessage) -> io::Error {
    io::Error::other(format!("unexpected answer of the supervisor: {answer:?}"))
}

/// Waits until the pipe has data or is closed. Returns `false` after `limit`, or earlier if a
/// signal ends the wait.
#[cfg(unix)]
pub(super) fn is_readable(pipe: &ChildStdout, limit: Duration) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let wait = Timespec::try_from(limit).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&wait)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns `true` without a wait. On systems other than Unix, there is no simple way to wait for a
/// pipe with a timeout. A hung supervisor therefore also hangs the run.
#[cfg(not(unix))]
pub(super) fn is_readable(_pipe: &ChildStdout, _limit: Duration) -> io::Result<bool> {
    Ok(true)
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
