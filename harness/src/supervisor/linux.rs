//! The supervisor on Linux. It is a subreaper, and uses pidfds and `/proc`.

use super::message_reader::MessageReader;
use super::{hung_threads, zygote};
use crate::data::case::Case;
use crate::data::duration::deadline;
use crate::data::process_report::{ProcessReport, StopReason};
use crate::os::affinity;
use crate::os::change_detector::ChangeDetector;
use crate::os::directory::{entry_names, remove};
use crate::os::fork::has_other_threads;
use crate::os::processes::{descendants, processes};
use crate::os::stopped_processes::StoppedProcesses;
use crate::os::timestamp_granularity::TimestampGranularity;
use crate::sandbox::name_socket;
use crate::supervisor::protocol::{RunnerMessage, SupervisorMessage};
use crate::supervisor::role::{ROLE_ARGUMENT, SupervisorConfig};
use clarity_chaos_record::Isolation;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, kill_process_group, pidfd_open,
    setsid, wait,
};
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// After a test has ended by itself, the processes that it started may live for this time.
/// Processes that live longer count as leaked.
const EXIT_GRACE: Duration = Duration::from_millis(200);

/// The longest wait until killed processes are dead. A process in uninterruptible sleep, or a fork
/// bomb, can take longer.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// The state of this process as the subreaper of its tests.
#[derive(Debug)]
pub(super) struct Supervisor {
    isolation: Isolation,
    messages: MessageReader,
    /// Whether standard input is closed: the runner has died.
    has_lost_runner: bool,
    /// Directories that only this supervisor's tests can see. Each directory is empty when a test
    /// starts.
    private: Vec<ChangeDetector>,
    /// The state that forks inherit. `None` before the first fork.
    zygote: Option<zygote::Zygote>,
}

impl Supervisor {
    pub(super) fn new(config: &SupervisorConfig, private: Vec<PathBuf>) -> io::Result<Self> {
        affinity::bind(config.processor);
        // Starts a session for all tests. An error is ignored: `setsid` fails only if this process
        // already leads a process group.
        let _ = setsid();
        Ok(Self {
            isolation: config.isolation,
            messages: MessageReader::default(),
            has_lost_runner: false,
            private: private.into_iter().map(watched).collect(),
            zygote: None,
        })
    }

    /// Waits for the runner's next message. Returns `None` when the runner has died.
    pub(super) fn next_message(&mut self) -> io::Result<Option<RunnerMessage>> {
        self.messages.next()
    }

    /// Whether the runner has died: the other end of standard input is closed.
    pub(super) fn is_abandoned(&self) -> bool {
        let stdin = rustix::stdio::stdin();
        let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
        let polled = poll(&mut watched, Some(&Timespec::default()));
        polled.is_ok() && watched[0].revents().contains(PollFlags::HUP)
    }

    /// Runs a case to its end. Returns `None` when the runner died first. The test then gets its
    /// grace period to undo its faults.
    pub(super) fn supervise(&mut self, case: &Case) -> io::Result<Option<ProcessReport>> {
        let began = Instant::now();
        // A library can start threads before `main`. A lock that such a thread holds would stay
        // locked in a fork. If there are such threads, the supervisor does not fork, but starts the
        // test binary again.
        let isolation = match self.isolation {
            Isolation::Fork if self.zygote.is_none() && has_other_threads() => Isolation::Exec,
            isolation => isolation,
        };
        let test = match isolation {
            Isolation::Exec => {
                affinity::unbind();
                let started = name_socket::inherited_by(|socket| super::execute(case, socket));
                Pid::from_child(&started??)
            }
            _ => {
                if self.zygote.is_none() {
                    self.zygote = Some(zygote::Zygote::prepare(case)?);
                }
                zygote::fork_test(case, &mut self.zygote)?
            }
        };
        let pidfd = pidfd_open(test, PidfdFlags::empty())?;

        let mut suspended = Duration::ZERO;
        let limit = deadline(case.spec.timeout);
        let mut wake_reason = self.wait_for(&pidfd, limit, &mut suspended)?;
        let stop_reason = match wake_reason {
            WakeReason::Deadline => Some(StopReason::TimedOut),
            WakeReason::Interrupted => Some(StopReason::Interrupted),
            WakeReason::TestEnded | WakeReason::RunnerDied => None,
        };
        let mut hung_threads = Vec::new();
        let grace_began = suspended;
        let is_stopped = wake_reason != WakeReason::TestEnded;
        let grace = deadline(match is_stopped {
            true => case.spec.grace,
            false => EXIT_GRACE,
        });
        if is_stopped {
            if stop_reason.is_some() {
                hung_threads = hung_threads::inspect(test);
            }
            if kill_process_group(test, Signal::TERM).is_err() {
                // The group does not exist: the test has left its process group, or has just ended.
                let _ = kill_process(test, Signal::TERM);
            }
            // Neither another interrupt nor the death of the runner shortens the grace period.
            loop {
                let mut since = suspended - grace_began;
                wake_reason = self.wait_for(&pidfd, grace, &mut since)?;
                suspended = grace_began + since;
                if matches!(wake_reason, WakeReason::TestEnded | WakeReason::Deadline) {
                    break;
                }
            }
        }
        // The kernel does not reuse the ID of an unreaped child. If the test has already ended, the
        // signal therefore has no effect.
        kill_process(test, Signal::KILL)?;
        let (exit_status, usage) = zygote::reap(test)?;
        name_socket::close()?;
        let duration = began.elapsed().saturating_sub(suspended);
        let runner_died = self.has_lost_runner;
        let (mut leaked_processes, mut retires) = (Vec::new(), false);
        // Orphans of the test become children of this process. If no child is left, the test has
        // leaked no process.
        if reap_ended()? == Children::Alive {
            if !runner_died && wait_for_children(grace)? == Children::Alive {
                leaked_processes = descendants()
                    .iter()
                    .map(|process| process.describe(ROLE_ARGUMENT))
                    .collect();
            }
            retires = kill_children()? == Children::Alive;
        }
        let leaked_files = self.clear_private_directories()?;
        Ok((!runner_died).then_some(ProcessReport {
            exit_status,
            stop_reason,
            hung_threads,
            isolation,
            duration,
            usage,
            leaked_processes,
            leaked_files,
            retires,
        }))
    }

    /// Waits for the first of these events: the test ends, the deadline passes, an interrupt
    /// arrives, or the runner dies.
    ///
    /// Stops and continues the test if the runner asks for it. `suspended` is the time since the
    /// deadline was set during which the test was stopped. The deadline moves by this time.
    fn wait_for(
        &mut self,
        pidfd: &OwnedFd,
        deadline: Instant,
        suspended: &mut Duration,
    ) -> io::Result<WakeReason> {
        loop {
            let left = (deadline + *suspended).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(WakeReason::Deadline);
            }
            // A timeout of centuries does not fit `Timespec`. Each wait therefore lasts at most an
            // hour, and the loop repeats the wait.
            let wait = left.min(Duration::from_secs(3600));
            let timeout = Timespec::try_from(wait).map_err(io::Error::other)?;
            let stdin = rustix::stdio::stdin();
            let mut watched = [
                PollFd::new(pidfd, PollFlags::IN),
                PollFd::new(&stdin, PollFlags::IN),
            ];
            // A closed standard input would end each wait at once.
            let watched = match self.has_lost_runner {
                true => &mut watched[..1],
                false => &mut watched[..],
            };
            if !self.messages.has_next() {
                match poll(watched, Some(&timeout)) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if !watched[0].revents().is_empty() {
                return Ok(WakeReason::TestEnded);
            }
            let has_message = watched
                .get(1)
                .is_some_and(|stdin| !stdin.revents().is_empty());
            if self.messages.has_next() || has_message {
                let mut message = self.messages.next()?;
                if matches!(message, Some(RunnerMessage::Suspend)) {
                    let began = Instant::now();
                    message = self.suspend()?;
                    *suspended += began.elapsed();
                }
                return Ok(match message {
                    Some(RunnerMessage::Suspend | RunnerMessage::Resume) => continue,
                    Some(RunnerMessage::Interrupt) => WakeReason::Interrupted,
                    Some(RunnerMessage::Run(_) | RunnerMessage::Shutdown) | None => {
                        self.has_lost_runner = true;
                        WakeReason::RunnerDied
                    }
                });
            }
        }
    }

    /// Stops the test until the runner's next message, which this method returns. Returns `None`
    /// when the runner has died.
    fn suspend(&mut self) -> io::Result<Option<RunnerMessage>> {
        // The processes continue when this value is dropped, also after an interrupt: a stopped
        // process could not undo its faults.
        let _stopped = StoppedProcesses::stop_descendants();
        super::send(&SupervisorMessage::Suspended)?;
        loop {
            match self.messages.next()? {
                Some(RunnerMessage::Suspend) => {}
                message => return Ok(message),
            }
        }
    }

    /// Removes the files that a test left in the worker's private directories. Returns the paths of
    /// the removed files.
    fn clear_private_directories(&mut self) -> io::Result<Vec<String>> {
        let mut removed = Vec::new();
        for directory in &mut self.private {
            if directory.is_unchanged() {
                continue;
            }
            for name in entry_names(directory.path())? {
                let path = directory.path().join(name);
                remove(&path)?;
                removed.push(path.display().to_string());
            }
            directory.restore_permissions()?;
            *directory = watched(directory.path().to_owned());
        }
        Ok(removed)
    }
}

/// Watches an empty directory. Only tests change the directory, and the detector finds their
/// changes even with coarse timestamps.
fn watched(directory: PathBuf) -> ChangeDetector {
    ChangeDetector::new(directory, 0, TimestampGranularity::Coarse)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WakeReason {
    TestEnded,
    Deadline,
    Interrupted,
    RunnerDied,
}

/// Waits until all children of this process have ended, or until the deadline.
pub(super) fn wait_for_children(deadline: Instant) -> io::Result<Children> {
    while reap_ended()? == Children::Alive {
        if Instant::now() >= deadline {
            return Ok(Children::Alive);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(Children::None)
}

/// Kills all children of this process, including orphans that become children during the call.
/// Returns when no child is left, or after `KILL_TIMEOUT`.
pub(super) fn kill_children() -> io::Result<Children> {
    let deadline = Instant::now() + KILL_TIMEOUT;
    while reap_ended()? == Children::Alive {
        if Instant::now() >= deadline {
            return Ok(Children::Alive);
        }
        let processes = processes();
        for process in processes
            .values()
            .filter(|process| process.parent == getpid())
        {
            // Only this process can reap its child, so the kernel has not reused the child's ID.
            let _ = kill_process(process.pid, Signal::KILL);
        }
        thread::sleep(Duration::from_micros(200));
    }
    Ok(Children::None)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Children {
    Alive,
    None,
}

/// Reaps all children that have ended. Returns whether a child is still alive.
fn reap_ended() -> io::Result<Children> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_ended)) => {}
            Ok(None) => return Ok(Children::Alive),
            Err(Errno::CHILD) => return Ok(Children::None),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
