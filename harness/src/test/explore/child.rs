//! A forked process that runs an operation or an invariant of the test.

use super::orphans::{KILL_TIMEOUT, Orphans};
use crate::os::backtrace_signal::install_backtrace_handler;
use crate::os::fork::{exit_immediately, fork_with_threads};
use crate::os::mapped_pages;
use crate::os::seccomp::filter::{SyscallPattern, install};
use crate::os::seccomp::listener::NotificationListener;
use crate::test::logs;
use crate::test::termination::handler_thread;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, send, sendmsg,
};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, kill_process_group, pidfd_open,
    set_parent_process_death_signal, setpgid, waitpid,
};
use std::any::Any;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::thread;
use std::time::{Duration, Instant};

/// The maximum length of a child's report, in bytes. The socket can buffer a report of this length
/// until the parent reads the report.
const MAX_REPORT: usize = 32 << 10;

/// The way in which a child process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ChildEnd {
    /// The child's `work` returned this result.
    Returned(Result<(), String>),
    Panicked(String),
    /// The process ended without a report.
    Died(String),
    /// The child sent the backtrace that the parent had requested.
    Located(String),
}

/// A child process, which is killed on drop.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: Pid,
    pub(super) ended: OwnedFd,
    /// The listener for the child's system calls, if the child has a filter.
    pub(super) listener: Option<NotificationListener>,
    channel: UnixStream,
    is_reaped: bool,
}

impl Child {
    /// Forks a child process that runs `work` on a new thread. Intercepts the child's calls that
    /// match `patterns`, if `patterns` is given.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] when this system cannot intercept calls;
    /// [`io::ErrorKind::ResourceBusy`] when this process has threads that a fork would lack.
    pub(super) fn spawn(
        patterns: Option<&[SyscallPattern]>,
        work: impl FnOnce() -> Result<(), String> + Send,
    ) -> io::Result<Self> {
        let (channel, other) = UnixStream::pair()?;
        let parent = getpid();
        let Some(pid) = fork_with_threads(handler_thread)? else {
            run(patterns, work, &other, parent)
        };
        drop(other);
        let mut child = Self {
            pid,
            ended: pidfd_open(pid, PidfdFlags::empty())?,
            listener: None,
            channel,
            is_reaped: false,
        };
        if patterns.is_some() {
            child.listener = Some(NotificationListener::new(child.receive_listener()?));
        }
        Ok(child)
    }

    fn receive_listener(&self) -> io::Result<OwnedFd> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut text = vec![0; MAX_REPORT];
        let received = recvmsg(
            &self.channel,
            &mut [IoSliceMut::new(&mut text)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        let descriptors = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        descriptors.ok_or_else(|| {
            let reason = String::from_utf8_lossy(&text[..received.bytes]);
            match reason.strip_prefix(UNSUPPORTED) {
                Some(reason) => io::Error::new(io::ErrorKind::Unsupported, reason.to_owned()),
                None => io::Error::other(format!("cannot intercept system calls: {reason}")),
            }
        })
    }

    /// Kills the child and all processes of its process group.
    pub(super) fn kill(&self) {
        // The kernel does not reuse the child's process number before the child is reaped. The
        // child may not have made its own process group yet, so both signals are needed.
        if !self.is_reaped {
            let _ = kill_process_group(self.pid, Signal::KILL);
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }

    /// Kills all processes of the operation, and waits until they have ended. After this call, no
    /// process changes the directory.
    pub(super) fn end_all(&self, orphans: &Orphans) -> io::Result<()> {
        self.kill();
        let Some(listener) = &self.listener else {
            return Ok(());
        };
        let deadline = Instant::now() + KILL_TIMEOUT;
        let interval = Timespec {
            tv_sec: 0,
            tv_nsec: 20_000_000,
        };
        loop {
            let mut polled = [PollFd::new(&self.ended, PollFlags::IN)];
            let ended =
                poll(&mut polled, Some(&interval)).is_ok() && !polled[0].revents().is_empty();
            // The listener hangs up when no thread has the listener's filter any more. On some
            // kernels, dead threads keep the filter.
            let mut polled = [PollFd::new(listener, PollFlags::IN)];
            let unused = poll(&mut polled, Some(&Timespec::default())).is_ok()
                && polled[0].revents().contains(PollFlags::HUP);
            // Processes that left the operation's process group survived the kill above, and are
            // among the orphans.
            if ended && (unused || !orphans.kill()) {
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

    /// Waits as [`reap`](Self::reap) does. Kills the child if it has not ended after `limit`.
    pub(super) fn reap_within(self, limit: Option<Duration>) -> io::Result<ChildEnd> {
        let Some(limit) = limit else {
            return self.reap();
        };
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(ChildEnd::Died(format!("no end within {limit:?}")));
            }
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut polled = [PollFd::new(&self.ended, PollFlags::IN)];
            match poll(&mut polled, Some(&timeout)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return self.reap(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until the child process has ended. Then reads the child's report.
    pub(super) fn reap(mut self) -> io::Result<ChildEnd> {
        let status = loop {
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Ok(status) => break status,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        self.is_reaped = true;
        let mut text = vec![0; MAX_REPORT + 1];
        let length = match recv(&self.channel, &mut text[..], RecvFlags::DONTWAIT) {
            Ok((length, _)) => length,
            Err(_no_report) => 0,
        };
        let text = String::from_utf8_lossy(&text[..length]);
        let mut parts = text.chars();
        let (kind, message) = (parts.next(), parts.as_str().to_owned());
        Ok(match kind {
            Some(RETURNED) => ChildEnd::Returned(Ok(())),
            Some(FAILED) => ChildEnd::Returned(Err(message)),
            Some(PANICKED) => ChildEnd::Panicked(message),
            Some(LOCATED) => ChildEnd::Located(message),
            _ => ChildEnd::Died(
                match status.and_then(|(_, status)| {
                    status
                        .terminating_signal()
                        .map(|signal| format!("it was ended by signal {signal}"))
                        .or_else(|| {
                            status
                                .exit_status()
                                .map(|code| format!("it exited with {code}"))
                        })
                }) {
                    Some(how) => how,
                    None => "it ended".to_owned(),
                },
            ),
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        if !self.is_reaped {
            let _ = waitpid(Some(self.pid), WaitOptions::empty());
        }
    }
}

// The possible first characters of a report. The first character shows how the child ended.
const RETURNED: char = 'r';
const FAILED: char = 'f';
const PANICKED: char = 'p';
const LOCATED: char = 'l';

/// The prefix of a child's message. The prefix means that this system cannot intercept system
/// calls.
const UNSUPPORTED: &str = "unsupported: ";

/// Runs `work` in the child, sends the child's report, and exits.
fn run(
    patterns: Option<&[SyscallPattern]>,
    work: impl FnOnce() -> Result<(), String> + Send,
    channel: &UnixStream,
    parent: Pid,
) -> ! {
    let prepared = prepare(patterns, channel, parent);
    let (kind, message) = match prepared {
        Err(error) => (None, error),
        Ok(()) => {
            // `work` runs on a new thread: the current thread still has the test's thread-locals,
            // such as an entered Tokio runtime.
            let ended =
                thread::scope(|scope| scope.spawn(|| catch_unwind(AssertUnwindSafe(work))).join());
            match ended {
                Ok(Ok(Ok(()))) => (Some(RETURNED), String::new()),
                Ok(Ok(Err(error))) => (Some(FAILED), error),
                Ok(Err(panic)) | Err(panic) => (Some(PANICKED), panic_message(&*panic)),
            }
        }
    };
    let text: String = kind.into_iter().chain(message.chars()).collect();
    report(channel, &text);
    // Skips the handlers that `exit` would run, since the handlers belong to the test.
    exit_immediately(0)
}

fn prepare(
    patterns: Option<&[SyscallPattern]>,
    channel: &UnixStream,
    parent: Pid,
) -> Result<(), String> {
    let to_text = |error: io::Error| match error.kind() {
        io::ErrorKind::Unsupported => format!("{UNSUPPORTED}{error}"),
        _ => error.to_string(),
    };
    setpgid(None, None).map_err(|error| error.to_string())?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| error.to_string())?;
    if rustix::process::getppid() != Some(parent) {
        return Err("the test's process has ended".to_owned());
    }
    // A panic in the child prints nothing: the report contains the panic's message. The test
    // decides whether the panic matters. The child also writes no logs, since the logs of hundreds
    // of runs would hide the test's own logs.
    set_hook(Box::new(|_| {}));
    logs::send_to(None);
    let Some(patterns) = patterns else {
        return Ok(());
    };
    install_backtrace_handler(channel, LOCATED, MAX_REPORT).map_err(to_text)?;
    mapped_pages::install().map_err(to_text)?;
    let listener = install(patterns, Some(&mapped_pages::WINDOW)).map_err(to_text)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [listener.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(
        channel,
        &[IoSlice::new(b"!")],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )
    .map_err(|error| error.to_string())?;
    Ok(())
}

/// Sends the first [`MAX_REPORT`] bytes of a report.
fn report(channel: &UnixStream, text: &str) {
    let bytes = text.as_bytes();
    // Uses `send`: unlike `write`, `send` is never intercepted.
    let _ = send(
        channel,
        &bytes[..bytes.len().min(MAX_REPORT)],
        SendFlags::NOSIGNAL,
    );
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
