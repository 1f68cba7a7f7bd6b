//! One run of an operation, with an intervention at one of its calls.

use super::child::{Child, ChildEnd};
use super::directory_content::DirectoryContent;
use super::failure_cause::{can_fail, ends_with_close, is_ended_by};
use super::intercepted_call::{InterceptedCall, unreadable};
use super::operation_call::OperationEnd;
use super::operation_process::OperationProcess;
use super::orphans::Orphans;
use super::process_identity::Processes;
use crate::os::backtrace_signal::request_backtrace;
use crate::os::seccomp::filter::SyscallPattern;
use crate::os::seccomp::listener::WaitingCall;
use crate::syscalls::decoder::Decoder;
use crate::syscalls::errno::Errno;
use crate::syscalls::file_call::{Effect, FileCall};
use crate::syscalls::process_call::ProcessCall;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The interval at which a run looks for living processes, after the operation's own has died.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Identifies one of the calls that an operation makes in the operation's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallPoint {
    /// The call with this index. Used for operations in which one thread makes all calls.
    Index(usize),
    /// The call with this name on this file. The number is the count of earlier calls with the same
    /// name and file. Used for operations in which several threads make calls, in any order.
    Occurrence(&'static str, PathBuf, usize),
    /// The call of this process with this index among the process's calls. Used for operations of
    /// several processes, each of which makes its calls in one thread.
    OfProcess(OperationProcess, usize),
}

/// The disturbance of one run of an operation.
#[derive(Clone, Debug)]
pub(super) enum Intervention {
    /// The run is not disturbed. Only the recorded calls of such a run contain the written bytes.
    None,
    /// All processes die instead of executing this call.
    Kill(CallPoint),
    /// Only the process that makes this call dies instead. The others go on until the operation
    /// ends. If its own process dies, they go on until they end.
    KillProcess(CallPoint),
    /// This call fails with this error. If `lasts`, later calls fail too, as long as the cause of
    /// the error lasts.
    Fail {
        point: CallPoint,
        errno: Errno,
        lasts: bool,
    },
    /// The thread that makes this call sends its backtrace, and the process exits.
    Locate(CallPoint),
}

/// A finished run of an operation.
#[derive(Debug)]
pub(super) struct OperationRun {
    /// The calls that the operation made in its directory, in order. The number next to each call
    /// identifies the thread that made the call.
    pub(super) calls: Vec<(u32, FileCall)>,
    /// The process that made each call.
    pub(super) callers: Vec<OperationProcess>,
    /// The calls that an injected error has replaced, by index, with the error.
    pub(super) failed: BTreeMap<usize, Errno>,
    /// The end of the operation's process; none if the exploration killed the process.
    pub(super) end: Option<ChildEnd>,
    /// The process that was killed while the others went on.
    pub(super) victim: Option<OperationProcess>,
    /// Whether the run reached the point of the intervention.
    pub(super) reached: bool,
}

impl OperationRun {
    /// Returns the number of acknowledgements.
    pub(super) fn acknowledgements(&self) -> usize {
        let calls = self.calls.iter();
        calls
            .filter(|(_, call)| call.effect == Effect::Acknowledge)
            .count()
    }

    /// Describes the end of the operation for errors.
    pub(super) fn operation_end(&self) -> OperationEnd {
        match &self.end {
            Some(ChildEnd::Returned(Ok(()))) => OperationEnd::Succeeded,
            Some(ChildEnd::Returned(Err(error))) => OperationEnd::Failed(error.clone()),
            Some(ChildEnd::Panicked(message)) => OperationEnd::Panicked(message.clone()),
            Some(ChildEnd::Died(how)) => OperationEnd::Died(how.clone()),
            Some(ChildEnd::Located(_)) | None => OperationEnd::Died("it was killed".to_owned()),
        }
    }
}

/// An operation, with the values that all runs of the operation share.
pub(super) struct Operation<'a> {
    pub(super) directory: &'a Path,
    pub(super) patterns: &'a [SyscallPattern],
    pub(super) orphans: &'a Orphans,
    /// Whether runs with a failing call also record the written bytes.
    pub(super) records_bytes: bool,
    /// The time after which the operation is killed.
    pub(super) limit: Option<Duration>,
    pub(super) work: &'a (dyn Fn(&Path) -> Result<(), String> + Sync),
}

impl Operation<'_> {
    /// Resets the operation's directory to the content `before`. Then runs the operation in the
    /// directory.
    pub(super) fn run(
        &self,
        before: &DirectoryContent,
        intervention: &Intervention,
    ) -> io::Result<OperationRun> {
        before.write(self.directory)?;
        let child = Child::spawn(Some(self.patterns), || (self.work)(self.directory))?;
        Monitor {
            decoder: Decoder::new(
                self.directory,
                match intervention {
                    Intervention::None | Intervention::Kill(_) => true,
                    Intervention::Fail { .. } => self.records_bytes,
                    Intervention::KillProcess(_) | Intervention::Locate(_) => false,
                },
            ),
            child,
            limit: self.limit,
            intervention,
            orphans: self.orphans,
            directory: self.directory,
            lasting: None,
            occurrences: HashMap::new(),
            processes: Processes::default(),
            made: HashMap::new(),
            calls: Vec::new(),
            callers: Vec::new(),
            failed: BTreeMap::new(),
            victim: None,
            reached: false,
        }
        .run()
    }
}

/// Answers the intercepted calls of a running operation.
struct Monitor<'a> {
    decoder: Decoder<'a>,
    child: Child,
    limit: Option<Duration>,
    intervention: &'a Intervention,
    orphans: &'a Orphans,
    directory: &'a Path,
    /// The error with which calls fail until its cause ends.
    lasting: Option<Errno>,
    occurrences: HashMap<(&'static str, PathBuf), usize>,
    processes: Processes,
    /// The number of calls of each process.
    made: HashMap<usize, usize>,
    calls: Vec<(u32, FileCall)>,
    /// The process of each call, by its index, and its name at the call.
    callers: Vec<(usize, OperationProcess)>,
    failed: BTreeMap<usize, Errno>,
    /// The process that was killed while the others went on.
    victim: Option<OperationProcess>,
    reached: bool,
}

/// Whether the call closes descriptors.
fn is_close(number: i64) -> bool {
    [libc::SYS_close, libc::SYS_close_range].contains(&number)
}

/// Whether the operation continues after a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Continuation {
    GoesOn,
    IsKilled,
}

impl Monitor<'_> {
    fn run(mut self) -> io::Result<OperationRun> {
        let mut continuation = Continuation::GoesOn;
        let began = Instant::now();
        let mut timed_out = false;
        while continuation == Continuation::GoesOn {
            let left = self
                .limit
                .map(|limit| limit.saturating_sub(began.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                timed_out = true;
                break;
            }
            let rest_goes_on = self.is_operation_killed();
            let timeout = match rest_goes_on {
                true => Some(POLL_INTERVAL.min(left.unwrap_or(POLL_INTERVAL))),
                false => left,
            };
            let timeout = timeout.map(Timespec::try_from).transpose();
            let timeout = timeout.map_err(io::Error::other)?;
            let Some(listener) = &self.child.listener else {
                return Err(io::Error::other("a process without a listener"));
            };
            let mut polled = [
                PollFd::new(listener, PollFlags::IN),
                PollFd::new(&self.child.ended, PollFlags::IN),
            ];
            // The end of the operation's own process is no news after its death.
            let polled = match rest_goes_on {
                true => &mut polled[..1],
                false => &mut polled[..],
            };
            match poll(polled, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let calls = polled[0].revents();
            let ended = polled.get(1).map_or(PollFlags::empty(), PollFd::revents);
            // Calls after the operation's end come from processes that the operation left behind.
            // These calls are not explored.
            let is_over = match rest_goes_on {
                true => !calls.contains(PollFlags::IN) && !self.orphans.are_alive(),
                false => !ended.is_empty(),
            };
            if is_over {
                break;
            }
            if calls.contains(PollFlags::IN)
                && let Some(call) = listener.next()?
            {
                continuation = self.answer(&call)?;
            }
        }
        self.child.end_all(self.orphans)?;
        let is_operation_killed = self.is_operation_killed();
        let mut end = self.child.reap()?;
        if self.victim.is_some() {
            self.orphans.reap();
        }
        if let (true, false, Some(limit)) = (timed_out, is_operation_killed, self.limit) {
            end = ChildEnd::Died(format!("it did not end within {limit:?}"));
        }
        // Later creations of processes can show that a process cannot be told from others.
        let callers = self.callers.iter().map(|(process, name)| {
            let is_identified = self.processes.name(*process).is_identified();
            if is_identified {
                *name
            } else {
                name.unidentified()
            }
        });
        Ok(OperationRun {
            callers: callers.collect(),
            calls: self.calls,
            failed: self.failed,
            victim: self.victim,
            end: (continuation == Continuation::GoesOn).then_some(end),
            reached: self.reached,
        })
    }

    /// Answers a call, or kills the operation's process at this call.
    fn answer(&mut self, waiting: &WaitingCall) -> io::Result<Continuation> {
        let Some(listener) = &self.child.listener else {
            return Ok(Continuation::GoesOn);
        };
        if is_close(waiting.number) {
            self.lasting.take_if(|errno| ends_with_close(*errno));
            listener.proceed(waiting)?;
            return Ok(Continuation::GoesOn);
        }
        let (status, decoded) = (
            self.processes.look(waiting),
            InterceptedCall::read(waiting, &self.decoder),
        );
        // If the calling thread is gone, a new thread can have its number. Then `decoded` can
        // contain data of the new thread.
        if !listener.is_waiting(waiting) {
            return Ok(Continuation::GoesOn);
        }
        let process = self.processes.admit(waiting, status?);
        let call = match decoded {
            // An unseen call would stay unexplored.
            Err(error) => return Err(unreadable(&self.processes, process, &error)),
            Ok(InterceptedCall::Process(call)) => {
                match call {
                    ProcessCall::CreateProcess => self.processes.create(process, waiting),
                    ProcessCall::CreateThread => {}
                    ProcessCall::Execute(path) => self.processes.execute(process, path),
                }
                None
            }
            Ok(InterceptedCall::File(call)) => call,
        };
        // The kernel executes calls on files outside of the directory.
        let Some(call) = call else {
            listener.proceed(waiting)?;
            return Ok(Continuation::GoesOn);
        };
        // Reflinks fail, as they do on a file system without reflinks. Callers then copy the bytes
        // instead.
        if matches!(call.effect, Effect::Reflink { .. }) {
            listener.fail(waiting, libc::EOPNOTSUPP)?;
            return Ok(Continuation::GoesOn);
        }
        let key = (call.name, call.effect.path().to_owned());
        let earlier = self.occurrences.entry(key).or_insert(0);
        let made = self.made.entry(process).or_insert(0);
        let is_at = |point: &CallPoint| match point {
            CallPoint::Index(index) => *index == self.calls.len(),
            CallPoint::Occurrence(name, path, count) => {
                *name == call.name && path == call.effect.path() && *count == *earlier
            }
            CallPoint::OfProcess(name, index) => {
                name.is_same(&self.processes.name(process)) && *index == *made
            }
        };
        let intervention = match self.intervention {
            Intervention::Kill(point)
            | Intervention::KillProcess(point)
            | Intervention::Fail { point, .. }
            | Intervention::Locate(point)
                if self.reached || !is_at(point) =>
            {
                &Intervention::None
            }
            intervention => intervention,
        };
        *earlier += 1;
        *made += 1;
        let is_cured = |errno: &mut Errno| is_ended_by(*errno, &call.effect, self.directory);
        self.lasting.take_if(is_cured);
        let failing = self.lasting.filter(|errno| can_fail(&call.effect, *errno));
        let is_pretended = call.effect.is_sync() || call.effect == Effect::Acknowledge;
        self.calls.push((waiting.thread, call));
        self.callers.push((process, self.processes.name(process)));
        self.reached |= !matches!(intervention, Intervention::None);
        match intervention {
            Intervention::Kill(_) => {
                self.child.kill();
                return Ok(Continuation::IsKilled);
            }
            Intervention::KillProcess(_) => {
                let victim = pidfd_open(self.processes.pid(process)?, PidfdFlags::empty())?;
                // A waiting call shows that the number is still that of its process.
                if listener.is_waiting(waiting) {
                    pidfd_send_signal(&victim, Signal::KILL)?;
                    self.victim = Some(self.processes.name(process));
                }
            }
            Intervention::Fail { errno, lasts, .. } => {
                self.lasting = lasts.then_some(*errno);
                self.failed.insert(self.calls.len() - 1, *errno);
                listener.fail(waiting, errno.0)?;
            }
            Intervention::Locate(_) if self.request_backtrace(process, waiting.thread) => {
                listener.fail(waiting, libc::EINTR)?;
            }
            _ if failing.is_some() => {
                let errno = failing.unwrap_or(Errno::EIO);
                self.failed.insert(self.calls.len() - 1, errno);
                listener.fail(waiting, errno.0)?;
            }
            // The death of a process loses no written bytes, so a sync need not wait for the disk.
            _ if is_pretended => listener.pretend(waiting, 0)?,
            _ => listener.proceed(waiting)?,
        }
        Ok(Continuation::GoesOn)
    }

    /// Whether the operation's own process was killed while the others go on.
    fn is_operation_killed(&self) -> bool {
        self.victim.is_some_and(|victim| victim.is_operation())
    }

    /// Requests a backtrace from a thread. Returns whether the request was sent. Another program
    /// cannot answer, and would die of the request.
    fn request_backtrace(&self, process: usize, thread: u32) -> bool {
        let name = self.processes.name(process);
        let pid = self.processes.pid(process).ok();
        name.program().is_none() && pid.is_some_and(|pid| request_backtrace(pid, thread))
    }
}
