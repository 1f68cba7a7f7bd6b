//! A process that runs something of the test's.

use crate::os::backtrace_signal::{answer_where, ask_where};
use crate::os::fork::{exit_at_once, fork_beside};
use crate::os::listener::Listener;
use crate::os::seccomp::{Trap, install};
use crate::test::logs;
use crate::test::termination::THREAD;
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

/// The most that is told of how it ended, in bytes: so much fits into a socket of which nobody reads yet.
const LONGEST: usize = 32 << 10;

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It returned.
    Returned(Result<(), String>),
    Panicked(String),
    /// Its process ended without a word.
    Died(String),
    /// It was asked where it is, and told.
    Located(String),
}

/// A process that runs something, and is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: Pid,
    pub(super) ended: OwnedFd,
    /// Where its calls arrive, if it has a filter.
    pub(super) listener: Option<Listener>,
    channel: UnixStream,
    is_reaped: bool,
}

impl Child {
    /// Forks a process that runs `work` on a thread of its own, with these traps set.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] when calls cannot be trapped here; [`io::ErrorKind::ResourceBusy`] when this process has threads that a
    /// fork would lack.
    pub(super) fn spawn(
        traps: Option<&[Trap]>,
        work: impl FnOnce() -> Result<(), String> + Send,
    ) -> io::Result<Self> {
        let (channel, other) = UnixStream::pair()?;
        let parent = getpid();
        let Some(pid) = fork_beside(|name| name == THREAD)? else {
            run(traps, work, &other, parent)
        };
        drop(other);
        let mut child = Self {
            pid,
            ended: pidfd_open(pid, PidfdFlags::empty())?,
            listener: None,
            channel,
            is_reaped: false,
        };
        if traps.is_some() {
            child.listener = Some(Listener::new(child.receive_listener()?));
        }
        Ok(child)
    }

    fn receive_listener(&self) -> io::Result<OwnedFd> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut text = vec![0; LONGEST];
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
            let why = String::from_utf8_lossy(&text[..received.bytes]);
            match why.strip_prefix(UNSUPPORTED) {
                Some(why) => io::Error::new(io::ErrorKind::Unsupported, why.to_owned()),
                None => io::Error::other(format!("no system calls could be trapped: {why}")),
            }
        })
    }

    /// Asks a thread of it where it is. It will answer, and end, when its call returns.
    pub(super) fn ask_where(&self, thread: u32) -> bool {
        ask_where(self.pid, thread)
    }

    /// Kills it, with all processes of its group.
    pub(super) fn kill(&self) {
        // Its number is its own until we have reaped it, and it leads its group or is alone.
        if !self.is_reaped {
            let _ = kill_process_group(self.pid, Signal::KILL);
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }

    /// Waits for its end, and gives what it said.
    pub(super) fn reap(mut self) -> io::Result<End> {
        let status = loop {
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Ok(status) => break status,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        self.is_reaped = true;
        let mut text = vec![0; LONGEST + 1];
        let length = match recv(&self.channel, &mut text[..], RecvFlags::DONTWAIT) {
            Ok((length, _)) => length,
            Err(_silent) => 0,
        };
        let text = String::from_utf8_lossy(&text[..length]);
        let mut parts = text.chars();
        let (kind, told) = (parts.next(), parts.as_str().to_owned());
        Ok(match kind {
            Some(RETURNED) => End::Returned(Ok(())),
            Some(FAILED) => End::Returned(Err(told)),
            Some(PANICKED) => End::Panicked(told),
            Some(LOCATED) => End::Located(told),
            _ => End::Died(
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

const RETURNED: char = 'r';
const FAILED: char = 'f';
const PANICKED: char = 'p';
const LOCATED: char = 'l';

/// How it begins to say why no calls can be trapped.
const UNSUPPORTED: &str = "unsupported: ";

/// The child's whole life.
fn run(
    traps: Option<&[Trap]>,
    work: impl FnOnce() -> Result<(), String> + Send,
    channel: &UnixStream,
    parent: Pid,
) -> ! {
    let prepared = prepare(traps, channel, parent);
    let (kind, told) = match prepared {
        Err(error) => (None, error),
        Ok(()) => {
            // On a fresh thread: what the test's own one holds for itself, such as a runtime that it is in, is none of this.
            let ended =
                thread::scope(|scope| scope.spawn(|| catch_unwind(AssertUnwindSafe(work))).join());
            match ended {
                Ok(Ok(Ok(()))) => (Some(RETURNED), String::new()),
                Ok(Ok(Err(error))) => (Some(FAILED), error),
                Ok(Err(panic)) | Err(panic) => (Some(PANICKED), message(&*panic)),
            }
        }
    };
    let text: String = kind.into_iter().chain(told.chars()).collect();
    tell(channel, &text);
    // The handlers of `exit` are the test's.
    exit_at_once(0)
}

fn prepare(traps: Option<&[Trap]>, channel: &UnixStream, parent: Pid) -> Result<(), String> {
    let told = |error: io::Error| match error.kind() {
        io::ErrorKind::Unsupported => format!("{UNSUPPORTED}{error}"),
        _ => error.to_string(),
    };
    setpgid(None, None).map_err(|error| error.to_string())?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| error.to_string())?;
    if rustix::process::getppid() != Some(parent) {
        return Err("the test is gone".to_owned());
    }
    // A panic is told to the test, which knows whether it matters; and what hundreds of runs log is not what the test did.
    set_hook(Box::new(|_| {}));
    logs::send_to(None);
    let Some(traps) = traps else {
        return Ok(());
    };
    answer_where(channel, LOCATED, LONGEST).map_err(told)?;
    let listener = install(traps).map_err(told)?;
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

/// Sends a text, as far as it is not too long. By a call that is never trapped.
fn tell(channel: &UnixStream, text: &str) {
    let bytes = text.as_bytes();
    let _ = send(
        channel,
        &bytes[..bytes.len().min(LONGEST)],
        SendFlags::NOSIGNAL,
    );
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
