//! Answers the intercepted calls of a running operation.

mod short_transfers;
mod stores;

use super::call_identity::{CallContext, CallIdentifier};
use super::callers::Callers;
use super::child::Child;
use super::child_report::ChildEnd;
use super::decoded_call::DecodedCall;
use super::failure_cause::{can_fail, consequence, ends_with_close, is_ended_by};
use super::intercepted_call::{InterceptedCall, unreadable};
use super::intervention::{CallPoint, Intervention};
use super::mapped_files::MappedFiles;
use super::operation_process::OperationProcess;
use super::operation_run::{OperationRun, ShortTransfer};
use super::orphans::Orphans;
use super::process_identity::Processes;
use super::recorder::Recorder;
use super::storing_threads::StoringThreads;
use super::volatile_files::VolatileContents;
use crate::os::backtrace_signal::request_backtrace;
use crate::os::seccomp::listener::WaitingCall;
use crate::syscalls::decoder::Decoder;
use crate::syscalls::errno::Errno;
use crate::syscalls::file_call::{Effect, FileCall};
use crate::syscalls::process_call::ProcessCall;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// The interval at which a run looks for living processes, after the operation's own has died.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The settings of an operation's run.
#[derive(Clone, Copy)]
pub(super) struct MonitorSettings<'a> {
    pub(super) finds_divisible: bool,
    /// The time after which the operation is killed.
    pub(super) limit: Option<Duration>,
    pub(super) orphans: &'a Orphans,
    pub(super) directory: &'a Path,
}

/// Answers the intercepted calls of a running operation.
pub(super) struct Monitor<'a> {
    decoder: Decoder<'a>,
    recorder: Recorder,
    mapped: MappedFiles<'a>,
    storing: StoringThreads,
    volatile: VolatileContents,
    finds_divisible: bool,
    child: Child,
    limit: Option<Duration>,
    intervention: &'a Intervention,
    orphans: &'a Orphans,
    directory: &'a Path,
    /// The error with which calls fail until its cause ends.
    lasting: Option<Errno>,
    processes: Processes,
    callers: Callers,
    /// Identifies the calls up to the point of the intervention.
    identifier: Option<CallIdentifier>,
    calls: Vec<(CallContext, FileCall)>,
    /// The process of each call, as an index of `processes`.
    made_by: Vec<usize>,
    failed: BTreeMap<usize, Errno>,
    short: Option<ShortTransfer>,
    /// The process that was killed while the others went on.
    victim: Option<OperationProcess>,
    reached: Option<usize>,
}

/// Whether the call closes descriptors.
fn is_close(number: i64) -> bool {
    [libc::SYS_close, libc::SYS_close_range].contains(&number)
}

/// The continuation after an answer.
fn goes_on((): ()) -> Continuation {
    Continuation::GoesOn
}

/// Whether the operation continues after a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Continuation {
    GoesOn,
    IsKilled,
}

impl<'a> Monitor<'a> {
    pub(super) fn new(
        decoder: Decoder<'a>,
        recorder: Recorder,
        mapped: MappedFiles<'a>,
        child: Child,
        settings: MonitorSettings<'a>,
        intervention: &'a Intervention,
    ) -> Self {
        Self {
            decoder,
            recorder,
            mapped,
            storing: StoringThreads::default(),
            volatile: VolatileContents::default(),
            finds_divisible: settings.finds_divisible && matches!(intervention, Intervention::None),
            child,
            limit: settings.limit,
            intervention,
            orphans: settings.orphans,
            directory: settings.directory,
            lasting: None,
            processes: Processes::default(),
            callers: Callers::default(),
            identifier: intervention.point().map(CallPoint::identifier),
            calls: Vec::new(),
            made_by: Vec::new(),
            failed: BTreeMap::new(),
            short: None,
            victim: None,
            reached: None,
        }
    }

    /// Answers the calls until the operation has ended. Then ends all of its processes.
    pub(super) fn run(mut self) -> io::Result<OperationRun> {
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
                self.look_after(Some(call.thread));
                continuation = self.answer(&call)?;
            }
        }
        self.child.end_all(self.orphans)?;
        self.look_after(None);
        match continuation {
            Continuation::GoesOn => {
                self.mapped.look()?;
                self.take_stores()?;
            }
            Continuation::IsKilled => self.look_at_volatile()?,
        }
        let is_operation_killed = self.is_operation_killed();
        let fault = self.fault()?;
        let mut end = self.child.reap()?;
        if continuation == Continuation::GoesOn
            && end == ChildEnd::Died(format!("it was ended by signal {}", libc::SIGSEGV))
            && let Some((context, process, call)) = fault
        {
            self.calls.push((context, call));
            self.made_by.push(process);
        }
        if self.victim.is_some() {
            self.orphans.reap();
        }
        let timed_out = timed_out && !is_operation_killed;
        if let (true, Some(limit)) = (timed_out, self.limit) {
            end = ChildEnd::Died(format!("it did not end within {limit:?}"));
        }
        // A later creation can show that an earlier process has no certain name.
        for ((context, _), process) in self.calls.iter_mut().zip(&self.made_by) {
            if !self.processes.name(*process).is_identified() {
                context.process = context.process.unidentified();
            }
        }
        Ok(OperationRun {
            calls: self.calls,
            files: self.recorder.files,
            contents: self.recorder.contents,
            failed: self.failed,
            short: self.short,
            volatile: self.volatile,
            timed_out,
            victim: self.victim,
            end: (continuation == Continuation::GoesOn).then_some(end),
            reached: self.reached,
        })
    }

    /// Looks at the files of the last executed call, when the thread `next` makes the next call, or
    /// no process of the operation is left.
    fn look_after(&mut self, next: Option<u32>) {
        if let Some(index) = self.recorder.watched() {
            let call = &mut self.calls[index].1;
            self.recorder.look_after(self.directory, next, call);
        }
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
        let status = self.processes.look(waiting);
        let (decoder, mapped) = (&self.decoder, &mut self.mapped);
        let decoded = InterceptedCall::read(waiting, decoder, mapped, self.finds_divisible);
        // If the calling thread is gone, a new thread can have its number. Then `decoded` can
        // contain data of the new thread.
        if !listener.is_waiting(waiting) {
            return Ok(Continuation::GoesOn);
        }
        let process = self.processes.admit(waiting, status?);
        let name = self.processes.name(process);
        let decoded = match decoded {
            // An unseen call would stay unexplored.
            Err(error) => return Err(unreadable(&self.processes, process, &error)),
            Ok(InterceptedCall::Process(call, tracee)) => {
                match call {
                    ProcessCall::CreateProcess => self.processes.create(process, waiting),
                    ProcessCall::CreateThread => {
                        self.callers.note_creation(waiting, &tracee, process, &name);
                    }
                    ProcessCall::Execute(path) => self.processes.execute(process, path),
                }
                None
            }
            Ok(InterceptedCall::Mapping(answer, tracee)) => {
                let context = self.context(waiting, &tracee, process);
                self.storing.note(waiting.thread, &context, process);
                self.take_stores()?;
                return self.answer_mapping(waiting, &answer);
            }
            Ok(InterceptedCall::File(decoded)) => decoded,
        };
        self.take_stores()?;
        let Some(listener) = &self.child.listener else {
            return Ok(Continuation::GoesOn);
        };
        // The kernel executes calls on files outside of the directory.
        let Some(decoded) = decoded else {
            listener.proceed(waiting)?;
            return Ok(Continuation::GoesOn);
        };
        let DecodedCall {
            mut call,
            tracee,
            details,
            transfer,
            divisible,
        } = *decoded;
        // Reflinks fail, as they do on a file system without reflinks. Callers then copy the bytes
        // instead.
        if matches!(call.effect, Effect::Reflink { .. }) {
            listener.fail(waiting, libc::EOPNOTSUPP)?;
            return Ok(Continuation::GoesOn);
        }
        let context = CallContext {
            caller: self
                .callers
                .identify(waiting.thread, &tracee, process, &name),
            process: name,
            details,
            divisible,
        };
        let is_store = matches!(call.effect, Effect::Store { .. });
        let identity = match is_store {
            // The store is identified again when its bytes are known.
            true => {
                self.storing.note(waiting.thread, &context, process);
                let identifier = self.identifier.clone();
                identifier.map(|mut identifier| identifier.identify(&context, &call))
            }
            false => {
                let identifier = self.identifier.as_mut();
                identifier.map(|identifier| identifier.identify(&context, &call))
            }
        };
        let point = self.intervention.point().map(|point| &point.identity);
        let intervention = match point == identity.as_ref() {
            true => self.intervention,
            false => &Intervention::None,
        };
        let stops = matches!(
            intervention,
            Intervention::Kill(_) | Intervention::KillProcess(_) | Intervention::Locate(_)
        );
        if is_store && !stops {
            return listener.proceed(waiting).map(goes_on);
        }
        let is_cured = |errno: &mut Errno| is_ended_by(*errno, &call.effect, self.directory);
        self.lasting.take_if(is_cured);
        let failing = self.lasting.filter(|errno| can_fail(&call.effect, *errno));
        let is_pretended = call.effect.is_sync() || call.effect == Effect::Acknowledge;
        let watch = self
            .recorder
            .look_before(self.directory, waiting, &mut call);
        self.calls.push((context, call));
        self.made_by.push(process);
        if !matches!(intervention, Intervention::None) {
            self.reached = Some(self.calls.len() - 1);
            self.identifier = None;
        }
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
                    self.mapped.lose(self.processes.pid(process)?);
                    self.victim = Some(name);
                }
            }
            Intervention::Fail { errno, lasts, .. } => {
                let effect = &self.calls[self.calls.len() - 1].1.effect;
                self.lasting = match lasts {
                    true => Some(*errno),
                    false => consequence(*errno, effect, self.directory),
                };
                self.failed.insert(self.calls.len() - 1, *errno);
                listener.fail(waiting, errno.0)?;
            }
            Intervention::Shorten(_) => self.shorten(waiting, &tracee, transfer.as_ref())?,
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
            _ => {
                self.recorder.executes(self.calls.len() - 1, watch);
                listener.proceed(waiting)?;
            }
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
