//! One run of an operation, with an intervention at one of its calls.

use super::call_identity::{CallContext, CallIdentifier};
use super::callers::Callers;
use super::child::{Child, ChildEnd};
use super::decoded_call::DecodedCall;
use super::directory_content::DirectoryContent;
use super::failure_cause::{can_fail, ends_with_close, is_ended_by};
use super::intervention::{CallPoint, Intervention};
use super::operation_call::OperationEnd;
use super::orphans::Orphans;
use crate::os::seccomp::filter::SyscallPattern;
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::decoder::Decoder;
use crate::syscalls::errno::Errno;
use crate::syscalls::file_call::{Effect, FileCall};
use crate::syscalls::thread_creation::may_create_thread;
use crate::syscalls::transfer::Transfer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// The maximum time that killed processes may take to disappear.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// A finished run of an operation.
#[derive(Debug)]
pub(super) struct OperationRun {
    /// The calls that the operation made in its directory, in order.
    pub(super) calls: Vec<(CallContext, FileCall)>,
    /// The calls that an injected error has replaced, by index, with the error.
    pub(super) failed: BTreeMap<usize, Errno>,
    /// The bytes of the call that transferred only a part of them.
    pub(super) short: Option<ShortTransfer>,
    /// The end of the operation's process; none if the exploration killed the process.
    pub(super) end: Option<ChildEnd>,
    /// The index of the call at the point of the intervention, if the run made this call.
    pub(super) reached: Option<usize>,
}

/// The bytes of a call that transferred only a part of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortTransfer {
    pub(super) transferred: u64,
    /// The number of bytes that the whole call transfers.
    pub(super) total: u64,
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
    /// Whether undisturbed runs look for calls that can be split.
    pub(super) finds_divisible: bool,
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
                    Intervention::Fail { .. } | Intervention::Shorten(_) => self.records_bytes,
                    Intervention::Locate(_) => false,
                },
            ),
            finds_divisible: self.finds_divisible && matches!(intervention, Intervention::None),
            child,
            limit: self.limit,
            intervention,
            orphans: self.orphans,
            directory: self.directory,
            lasting: None,
            callers: Callers::default(),
            identifier: intervention.point().map(CallPoint::identifier),
            calls: Vec::new(),
            failed: BTreeMap::new(),
            short: None,
            reached: None,
        }
        .run()
    }
}

/// Answers the intercepted calls of a running operation.
struct Monitor<'a> {
    decoder: Decoder<'a>,
    finds_divisible: bool,
    child: Child,
    limit: Option<Duration>,
    intervention: &'a Intervention,
    orphans: &'a Orphans,
    directory: &'a Path,
    /// The error with which calls fail until its cause ends.
    lasting: Option<Errno>,
    callers: Callers,
    /// Identifies the calls up to the point of the intervention.
    identifier: Option<CallIdentifier>,
    calls: Vec<(CallContext, FileCall)>,
    failed: BTreeMap<usize, Errno>,
    short: Option<ShortTransfer>,
    reached: Option<usize>,
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
            let timeout = left.map(Timespec::try_from).transpose();
            let timeout = timeout.map_err(io::Error::other)?;
            let Some(listener) = &self.child.listener else {
                return Err(io::Error::other("a process without a listener"));
            };
            let mut polled = [
                PollFd::new(listener, PollFlags::IN),
                PollFd::new(&self.child.ended, PollFlags::IN),
            ];
            match poll(&mut polled, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let (calls, ended) = (polled[0].revents(), polled[1].revents());
            // Calls after the operation's end come from processes that the operation left behind.
            // These calls are not explored.
            if !ended.is_empty() {
                break;
            }
            if calls.contains(PollFlags::IN)
                && let Some(call) = listener.next()?
            {
                continuation = self.answer(&call)?;
            }
        }
        self.end_all()?;
        let mut end = self.child.reap()?;
        if let (true, Some(limit)) = (timed_out, self.limit) {
            end = ChildEnd::Died(format!("it did not end within {limit:?}"));
        }
        Ok(OperationRun {
            calls: self.calls,
            failed: self.failed,
            short: self.short,
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
        if may_create_thread(waiting.number) {
            if let Ok(tracee) = Tracee::open(waiting.thread) {
                self.callers.note_creation(waiting, &tracee);
            }
            listener.proceed(waiting)?;
            return Ok(Continuation::GoesOn);
        }
        let decoded = DecodedCall::decode(&self.decoder, waiting, self.finds_divisible);
        // If the calling thread is gone, a new thread can have its number. Then `decoded` can
        // contain data of the new thread.
        if !listener.is_waiting(waiting) {
            return Ok(Continuation::GoesOn);
        }
        // A permission error ends the run: otherwise, the call would silently stay unexplored.
        if let Err(error) = &decoded
            && error.kind() == io::ErrorKind::PermissionDenied
        {
            return Err(io::Error::other(format!(
                "cannot read the arguments of the operation's system calls: {error}"
            )));
        }
        // The kernel executes calls on files outside of the directory. Calls with unreadable
        // arguments, such as an invalid address, are also left to the kernel. The kernel makes
        // these calls fail.
        let Ok(Some(decoded)) = decoded else {
            listener.proceed(waiting)?;
            return Ok(Continuation::GoesOn);
        };
        let DecodedCall {
            call,
            tracee,
            details,
            transfer,
            divisible,
        } = decoded;
        // Reflinks fail, as they do on a file system without reflinks. Callers then copy the bytes
        // instead.
        if matches!(call.effect, Effect::Reflink { .. }) {
            listener.fail(waiting, libc::EOPNOTSUPP)?;
            return Ok(Continuation::GoesOn);
        }
        let context = CallContext {
            caller: self.callers.identify(waiting.thread, &tracee),
            details,
            divisible,
        };
        let identity = self
            .identifier
            .as_mut()
            .map(|identifier| identifier.identify(&context, &call));
        let point = self.intervention.point().map(|point| &point.identity);
        let intervention = match point == identity.as_ref() {
            true => self.intervention,
            false => &Intervention::None,
        };
        let is_cured = |errno: &mut Errno| is_ended_by(*errno, &call.effect, self.directory);
        self.lasting.take_if(is_cured);
        let failing = self.lasting.filter(|errno| can_fail(&call.effect, *errno));
        let is_pretended = call.effect.is_sync() || call.effect == Effect::Acknowledge;
        self.calls.push((context, call));
        if !matches!(intervention, Intervention::None) {
            self.reached = Some(self.calls.len() - 1);
            self.identifier = None;
        }
        match intervention {
            Intervention::Kill(_) => {
                self.child.kill();
                return Ok(Continuation::IsKilled);
            }
            Intervention::Fail { errno, lasts, .. } => {
                self.lasting = lasts.then_some(*errno);
                self.failed.insert(self.calls.len() - 1, *errno);
                listener.fail(waiting, errno.0)?;
            }
            Intervention::Shorten(_) => self.shorten(waiting, &tracee, transfer.as_ref())?,
            Intervention::Locate(_) if self.child.request_backtrace(waiting.thread) => {
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

    /// Executes half of the call in the place of its thread. The kernel executes a call that cannot
    /// be split.
    fn shorten(
        &mut self,
        waiting: &WaitingCall,
        tracee: &Tracee,
        transfer: Option<&Transfer>,
    ) -> io::Result<()> {
        let Some(listener) = &self.child.listener else {
            return Ok(());
        };
        let divided = transfer.map(|transfer| (transfer, transfer.divisible(tracee)));
        let Some((transfer, Ok(total @ 2..))) = divided else {
            return listener.proceed(waiting);
        };
        let cannot =
            |error| io::Error::other(format!("cannot execute a part of a system call: {error}"));
        match transfer.execute(tracee, total / 2).map_err(cannot)? {
            Ok(transferred) => {
                // The file can have become shorter since the call was decoded.
                if transferred < total {
                    self.short = Some(ShortTransfer { transferred, total });
                }
                if let Some((_, call)) = self.calls.last_mut()
                    && let Effect::Write { bytes, .. } = &mut call.effect
                {
                    bytes.truncate(usize::try_from(transferred).unwrap_or(usize::MAX));
                }
                listener.pretend(waiting, transferred.cast_signed())
            }
            Err(errno) => listener.fail(waiting, errno.raw_os_error()),
        }
    }

    /// Kills all processes of the operation, and waits until they have ended. After this call, no
    /// process changes the directory.
    fn end_all(&self) -> io::Result<()> {
        self.child.kill();
        let Some(listener) = &self.child.listener else {
            return Ok(());
        };
        let deadline = Instant::now() + KILL_TIMEOUT;
        let interval = Timespec {
            tv_sec: 0,
            tv_nsec: 20_000_000,
        };
        loop {
            let mut polled = [PollFd::new(&self.child.ended, PollFlags::IN)];
            let ended =
                poll(&mut polled, Some(&interval)).is_ok() && !polled[0].revents().is_empty();
            // The listener hangs up when no thread has the listener's filter any more. On some
            // kernels, dead threads keep the filter.
            let mut polled = [PollFd::new(listener, PollFlags::IN)];
            let unused = poll(&mut polled, Some(&Timespec::default())).is_ok()
                && polled[0].revents().contains(PollFlags::HUP);
            // Processes that left the operation's process group survived the kill above, and are
            // among the orphans.
            if ended && (unused || !self.orphans.kill()) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(io::Error::other(format!(
                    "processes of the operation are still alive {} s after they were killed",
                    KILL_TIMEOUT.as_secs()
                )));
            }
        }
    }
}
