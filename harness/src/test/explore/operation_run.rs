//! One run of an operation, with an intervention at one of its calls.

use super::child::{Child, ChildEnd};
use super::directory_content::DirectoryContent;
use super::failure_cause::{can_fail, ends_with_close, is_ended_by};
use super::mapped_files::{MappedFiles, MappingAnswer};
use super::operation_call::OperationEnd;
use super::orphans::Orphans;
use super::volatile_files::{VolatileContents, VolatilePatterns};
use crate::os::seccomp::filter::SyscallPattern;
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::decoder::Decoder;
use crate::syscalls::errno::Errno;
use crate::syscalls::file_call::{Effect, FileCall};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The maximum time that killed processes may take to disappear.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Identifies one of the calls that an operation makes in the operation's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallPoint {
    /// The call with this index. Used for operations in which one thread makes all calls.
    Index(usize),
    /// The call with this name on this file. The number is the count of earlier calls with the same
    /// name and file. Used for operations in which several threads make calls, in any order.
    Occurrence(&'static str, PathBuf, usize),
}

/// The disturbance of one run of an operation.
#[derive(Clone, Debug)]
pub(super) enum Intervention {
    /// The run is not disturbed. Only the recorded calls of such a run contain the written bytes.
    None,
    /// The process dies instead of executing this call.
    Kill(CallPoint),
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
    /// The calls that an injected error has replaced, by index, with the error.
    pub(super) failed: BTreeMap<usize, Errno>,
    /// The contents of mapped volatile files.
    pub(super) volatile: VolatileContents,
    /// The end of the operation's process; none if the exploration killed the process.
    pub(super) end: Option<ChildEnd>,
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
    pub(super) volatile: &'a VolatilePatterns,
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
                    Intervention::Locate(_) => false,
                },
            ),
            child,
            limit: self.limit,
            intervention,
            orphans: self.orphans,
            directory: self.directory,
            mapped: MappedFiles::new(self.directory, self.patterns, self.volatile),
            lasting: None,
            occurrences: HashMap::new(),
            calls: Vec::new(),
            failed: BTreeMap::new(),
            volatile: VolatileContents::default(),
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
    mapped: MappedFiles<'a>,
    /// The error with which calls fail until its cause ends.
    lasting: Option<Errno>,
    occurrences: HashMap<(&'static str, PathBuf), usize>,
    calls: Vec<(u32, FileCall)>,
    failed: BTreeMap<usize, Errno>,
    volatile: VolatileContents,
    reached: bool,
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
        if continuation == Continuation::GoesOn {
            self.mapped.look()?;
            self.take_stores()?;
        } else {
            self.look_at_volatile()?;
        }
        let mut end = self.child.reap()?;
        if continuation == Continuation::GoesOn
            && end == ChildEnd::Died(format!("it was ended by signal {}", libc::SIGSEGV))
        {
            let main = self.calls.last().map_or(0, |(thread, _)| *thread);
            self.calls
                .extend(self.mapped.died_of_fault().map(|call| (main, call)));
        }
        if let (true, Some(limit)) = (timed_out, self.limit) {
            end = ChildEnd::Died(format!("it did not end within {limit:?}"));
        }
        Ok(OperationRun {
            calls: self.calls,
            failed: self.failed,
            volatile: self.volatile,
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
        let (decoder, mapped) = (&self.decoder, &mut self.mapped);
        let decoded = Tracee::open(waiting.thread)
            .and_then(|tracee| mapped.answer(waiting, &tracee, decoder));
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
        let answer = decoded.unwrap_or(MappingAnswer::Proceed);
        self.take_stores()?;
        let Some(listener) = &self.child.listener else {
            return Ok(Continuation::GoesOn);
        };
        let call = match answer {
            MappingAnswer::Call(call) | MappingAnswer::Store(call) => call,
            MappingAnswer::Pretend => return listener.pretend(waiting, 0).map(goes_on),
            MappingAnswer::Fail(errno) => return listener.fail(waiting, errno).map(goes_on),
            MappingAnswer::Request(signals, request) => {
                signals.send(request)?;
                return listener.fail(waiting, libc::EINTR).map(goes_on);
            }
            MappingAnswer::Unconcerned | MappingAnswer::Proceed => {
                return listener.proceed(waiting).map(goes_on);
            }
        };
        // Reflinks fail, as they do on a file system without reflinks. Callers then copy the bytes
        // instead.
        if matches!(call.effect, Effect::Reflink { .. }) {
            listener.fail(waiting, libc::EOPNOTSUPP)?;
            return Ok(Continuation::GoesOn);
        }
        let key = (call.name, call.effect.path().to_owned());
        let earlier = self.occurrences.entry(key).or_insert(0);
        let is_at = |point: &CallPoint| match point {
            CallPoint::Index(index) => *index == self.calls.len(),
            CallPoint::Occurrence(name, path, count) => {
                *name == call.name && path == call.effect.path() && *count == *earlier
            }
        };
        let intervention = match self.intervention {
            Intervention::Kill(point)
            | Intervention::Fail { point, .. }
            | Intervention::Locate(point)
                if self.reached || !is_at(point) =>
            {
                &Intervention::None
            }
            intervention => intervention,
        };
        // The store is recorded when its bytes are known.
        let is_store = matches!(call.effect, Effect::Store { .. });
        if is_store && matches!(intervention, Intervention::None | Intervention::Fail { .. }) {
            return listener.proceed(waiting).map(goes_on);
        }
        *earlier += 1;
        let is_cured = |errno: &mut Errno| is_ended_by(*errno, &call.effect, self.directory);
        self.lasting.take_if(is_cured);
        let failing = self.lasting.filter(|errno| can_fail(&call.effect, *errno));
        let is_pretended = call.effect.is_sync() || call.effect == Effect::Acknowledge;
        self.calls.push((waiting.thread, call));
        self.reached |= !matches!(intervention, Intervention::None);
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

    /// Records the stores through mappings that have happened since the last call.
    fn take_stores(&mut self) -> io::Result<()> {
        for (thread, store) in self.mapped.take_stores() {
            let key = (store.name, store.effect.path().to_owned());
            *self.occurrences.entry(key).or_insert(0) += 1;
            self.calls.push((thread, store));
        }
        self.look_at_volatile()
    }

    fn look_at_volatile(&mut self) -> io::Result<()> {
        for (path, bytes) in self.mapped.take_volatile()? {
            self.volatile.add(self.calls.len(), path, bytes);
        }
        Ok(())
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
