//! A forked process that runs an operation or an invariant of the test.

use super::child_report::{ChildEnd, ChildReport, LOCATED, MAX_REPORT, Remains};
use super::orphans::{KILL_TIMEOUT, Orphans};
use crate::os::backtrace_signal::install_backtrace_handler;
use crate::os::fork::{StackKeepingFork, exit_immediately, fork_with_threads};
use crate::os::mapped_pages;
use crate::os::processes::has_children;
use crate::os::retirement::retire;
use crate::os::seccomp::filter::{SyscallPattern, install};
use crate::os::seccomp::listener::NotificationListener;
use crate::test::logs;
use crate::test::termination::handler_thread;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{ioctl_fionread, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, send, sendmsg,
};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group,
    pidfd_open, set_child_subreaper, set_parent_process_death_signal, setpgid, waitpid,
};
use std::any::Any;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

/// The purpose of a child process.
#[derive(Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// Runs an operation, whose calls that match these patterns are intercepted.
    Operation(&'a [SyscallPattern]),
    /// Runs the set-up of a test.
    SetUp,
    /// Forks the processes of checks.
    Server(CheckThread),
    /// Checks an invariant.
    Check(CheckThread),
}

/// The thread that checks an invariant. Neither has the thread-locals of the test, such as an
/// entered Tokio runtime.
#[derive(Clone, Copy, Debug)]
pub(super) enum CheckThread {
    /// A copy of the server's thread, which is a new thread of the server.
    Copied(StackKeepingFork),
    /// A new thread of each check. The server is the copy of the test's thread.
    // The test's thread waits, and the invariant has references into its stack.
    New,
}

impl CheckThread {
    /// Chooses the thread. A copy is cheaper, but not every C library permits it.
    pub(super) fn choose() -> Self {
        StackKeepingFork::find().map_or(Self::New, Self::Copied)
    }
}

impl<'a> Purpose<'a> {
    /// Whether the work needs a thread that the fork does not provide.
    fn needs_new_thread(self) -> bool {
        !matches!(
            self,
            Self::Server(CheckThread::New) | Self::Check(CheckThread::Copied(_))
        )
    }

    fn patterns(self) -> Option<&'a [SyscallPattern]> {
        match self {
            Self::Operation(patterns) => Some(patterns),
            _ => None,
        }
    }
}

/// A child process, which is killed on drop.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: Pid,
    pub(super) ended: OwnedFd,
    /// The listener for the child's system calls, if the child has a filter.
    pub(super) listener: Option<NotificationListener>,
    pub(super) channel: UnixStream,
    is_reaped: bool,
}

impl Child {
    /// Forks a child process for this purpose. Runs `work` on a thread without the thread-locals of
    /// the test, other than in a server that has to keep them.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] when this system cannot intercept calls;
    /// [`io::ErrorKind::ResourceBusy`] when this process has threads that a fork would lack.
    pub(super) fn spawn(
        purpose: Purpose<'_>,
        work: impl FnOnce() -> Result<(), String> + Send,
    ) -> io::Result<Self> {
        let (channel, other) = UnixStream::pair()?;
        let parent = getpid();
        let forked = match purpose {
            Purpose::Check(CheckThread::Copied(copy)) => copy.fork(handler_thread)?,
            _ => fork_with_threads(handler_thread)?,
        };
        let Some(pid) = forked else {
            run(purpose, work, &other, parent)
        };
        drop(other);
        let mut child = Self {
            pid,
            ended: pidfd_open(pid, PidfdFlags::empty())?,
            listener: None,
            channel,
            is_reaped: false,
        };
        if purpose.patterns().is_some() {
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

    /// Waits until the child process has ended. Then reads the child's report.
    pub(super) fn reap(mut self) -> io::Result<ChildEnd> {
        let status = self.wait_for_status()?;
        Ok(ChildReport::of(&read_report(&self.channel, RecvFlags::empty())?, status).end)
    }

    /// Waits until the child process has ended. Leaves its report to others.
    pub(super) fn reap_status(mut self) -> io::Result<Option<WaitStatus>> {
        self.wait_for_status()
    }

    fn wait_for_status(&mut self) -> io::Result<Option<WaitStatus>> {
        let status = retry_on_intr(|| waitpid(Some(self.pid), WaitOptions::empty()))?;
        self.is_reaped = true;
        Ok(status.map(|(_, status)| status))
    }
}

/// Reads the report that a child has sent. The report is empty if the child has sent none, and may
/// be cut before the child has ended.
pub(super) fn read_report(channel: &impl AsFd, flags: RecvFlags) -> io::Result<String> {
    // Most reports are short, and the memory for the longest ones is not.
    let length = usize::try_from(ioctl_fionread(channel)?).map_err(io::Error::other)?;
    let mut text = vec![0; length];
    if length > 0 {
        recv(channel, &mut text[..], flags | RecvFlags::DONTWAIT)?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        if !self.is_reaped {
            let _ = waitpid(Some(self.pid), WaitOptions::empty());
        }
    }
}

/// The prefix of a child's message. The prefix means that this system cannot intercept system
/// calls.
const UNSUPPORTED: &str = "unsupported: ";

/// Runs `work` in the child, sends the child's report, and exits.
fn run(
    purpose: Purpose<'_>,
    work: impl FnOnce() -> Result<(), String> + Send,
    channel: &UnixStream,
    parent: Pid,
) -> ! {
    let prepared = prepare(purpose, channel, parent);
    let text = match prepared {
        Err(error) => error,
        Ok(()) => {
            let work = || catch_unwind(AssertUnwindSafe(work));
            let ended = match purpose.needs_new_thread() {
                true => thread::scope(|scope| scope.spawn(work).join()),
                false => Ok(work()),
            };
            let end = match ended {
                Ok(Ok(result)) => ChildEnd::Returned(result),
                Ok(Err(panic)) | Err(panic) => ChildEnd::Panicked(panic_message(&*panic)),
            };
            let remains = match (has_children(), &end) {
                (true, _) => Remains::Descendants,
                // A short report arrives whole, so the parent need not wait for the child's end.
                (false, ChildEnd::Returned(Ok(()))) if retire(channel.as_fd()) => Remains::Nothing,
                (false, _) => Remains::Process,
            };
            ChildReport { end, remains }.to_text()
        }
    };
    report(channel, &text);
    // Skips the handlers that `exit` would run, since the handlers belong to the test.
    exit_immediately(0)
}

fn prepare(purpose: Purpose<'_>, channel: &UnixStream, parent: Pid) -> Result<(), String> {
    let to_text = |error: io::Error| match error.kind() {
        io::ErrorKind::Unsupported => format!("{UNSUPPORTED}{error}"),
        _ => error.to_string(),
    };
    setpgid(None, None).map_err(|error| error.to_string())?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| error.to_string())?;
    if rustix::process::getppid() != Some(parent) {
        return Err("the test's process has ended".to_owned());
    }
    silence();
    if let Purpose::Check(_) = purpose {
        // So the check learns whether it leaves descendants behind.
        set_child_subreaper(Some(getpid())).map_err(|error| error.to_string())?;
    }
    let Some(patterns) = purpose.patterns() else {
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

/// Lets the process print no panics and write no logs from now on.
fn silence() {
    static IS_SILENT: AtomicBool = AtomicBool::new(false);
    // The processes of checks inherit the silence of their server.
    if IS_SILENT.swap(true, Ordering::Relaxed) {
        return;
    }
    // The report contains the panic's message, and the test decides whether the panic matters. The
    // logs of hundreds of runs would hide the test's own logs. To drop the earlier hook would only
    // copy pages of memory.
    mem::forget(take_hook());
    set_hook(Box::new(|_| {}));
    logs::send_to(None);
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
