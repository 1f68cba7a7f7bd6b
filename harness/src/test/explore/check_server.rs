//! A process that forks a process for each check of an invariant.

use super::child::{CheckThread, Child, Purpose, read_report};
use super::child_report::{ChildReport, MAX_REPORT, Remains, describe};
use super::explorer::Invariant;
use super::run_limit::RunLimit;
use crate::os::handover::Handover;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, pidfd_send_signal, waitpid};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// The interval at which the server looks whether a waiting process has died.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The length of a process number in a message, in bytes.
const PID_LENGTH: usize = size_of::<i32>();

/// The server of an exploration's checks.
// A fork lets the next write to each page copy the page. The process that explores has many pages
// and writes to them; the server has few. Besides, the server forks the process of the next check
// while a check runs.
pub(super) struct CheckServer<T: Copy + Send> {
    process: Child,
    found: Handover<T>,
    /// The messages of the server: see [`send_message`].
    messages: OwnedFd,
    /// The process that waits for the next check, if the server has sent it.
    next: Option<WaitingCheck>,
    limit: RunLimit,
}

/// A process that waits to check the invariant. It is a child of the server.
struct WaitingCheck {
    pid: Pid,
    ended: OwnedFd,
    channel: OwnedFd,
}

impl<T: Copy + Send> CheckServer<T> {
    /// Forks the server.
    pub(super) fn start(
        directory: &Path,
        invariant: Invariant<'_, T>,
        thread: CheckThread,
    ) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (messages, others) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let found = Handover::new()?;
        let process = Child::spawn(Purpose::Server(thread), || {
            serve(&found, &others, thread, |found| invariant(directory, found))
                .or_else(|error| send_message(&others, None, &error.to_string()))
                .map_err(|error| error.to_string())
        })?;
        Ok(Self {
            process,
            found,
            messages,
            next: None,
            limit: RunLimit::default(),
        })
    }

    pub(super) fn pid(&self) -> Pid {
        self.process.pid
    }

    /// Checks the invariant in these circumstances.
    pub(super) fn check(&mut self, found: T) -> io::Result<ChildReport> {
        if self.next.is_none() {
            self.receive()?;
        }
        let Some(check) = self.next.take() else {
            return Err(io::Error::other("no process for the check"));
        };
        let began = Instant::now();
        self.found.give(found);
        // A busy machine gets a second limit.
        let limit = self.limit.get().map(|limit| limit * 2);
        let Some(text) = check.report(limit)? else {
            check.kill()?;
            return Ok(ChildReport::died(match limit {
                Some(limit) => format!("no end within {limit:?}"),
                None => "no end".to_owned(),
            }));
        };
        match ChildReport::parse(&text) {
            Some(report) => {
                self.limit.note(began.elapsed());
                Ok(report)
            }
            None => self.receive().map(ChildReport::died),
        }
    }

    /// Receives the next process. Returns how the last one ended.
    fn receive(&mut self) -> io::Result<String> {
        let mut polled = [
            PollFd::new(&self.messages, PollFlags::IN),
            PollFd::new(&self.process.ended, PollFlags::IN),
        ];
        retry_on_intr(|| poll(&mut polled, None))?;
        let mut text = vec![0; MAX_REPORT];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            &self.messages,
            &mut [IoSliceMut::new(&mut text)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
        );
        let length = match received {
            Ok(received) => received.bytes,
            Err(_server_has_ended) => 0,
        };
        let mut descriptors = ancillary.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        });
        let (ended, channel) = (descriptors.next(), descriptors.next());
        let (pid, text) = text[..length]
            .split_first_chunk::<PID_LENGTH>()
            .map(|(pid, text)| (i32::from_ne_bytes(*pid), String::from_utf8_lossy(text)))
            .unwrap_or_default();
        let (Some(pid), Some(ended), Some(channel)) = (Pid::from_raw(pid), ended, channel) else {
            return Err(io::Error::other(match text.is_empty() {
                true => "the process that forks the checks has ended".to_owned(),
                false => text.into_owned(),
            }));
        };
        self.next = Some(WaitingCheck {
            pid,
            ended,
            channel,
        });
        Ok(text.into_owned())
    }
}

impl WaitingCheck {
    /// Waits until nothing of the check can act any more, other than processes that it has left
    /// behind. Returns the check's report, which is empty if there is none. Returns `None` if the
    /// check goes on after `limit`.
    fn report(&self, limit: Option<Duration>) -> io::Result<Option<String>> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        if !wait(&[&self.channel, &self.ended], deadline)? {
            return Ok(None);
        }
        let text = read_report(&self.channel, RecvFlags::PEEK)?;
        if ChildReport::parse(&text).is_some_and(|report| report.remains == Remains::Nothing) {
            return Ok(Some(text));
        }
        if !wait(&[&self.ended], deadline)? {
            return Ok(None);
        }
        read_report(&self.channel, RecvFlags::empty()).map(Some)
    }

    /// Kills the process and its process group. Waits until the process has ended.
    fn kill(&self) -> io::Result<()> {
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = pidfd_send_signal(&self.ended, Signal::KILL);
        wait(&[&self.ended], None).map(drop)
    }
}

impl<T: Copy + Send> Drop for CheckServer<T> {
    fn drop(&mut self) {
        // Without its number, the process that waits could not be reaped.
        if self.next.is_none() {
            let _ = self.receive();
        }
        if let Some(next) = &self.next {
            let _ = pidfd_send_signal(&next.ended, Signal::KILL);
        }
        self.process.kill();
        let _ = wait(&[&self.process.ended], None);
        // The server's children have this process as their parent now, which is a subreaper.
        if let Some(next) = &self.next {
            let _ = retry_on_intr(|| waitpid(Some(next.pid), WaitOptions::empty()));
        }
    }
}

/// Forks a process for each value that is handed over. Ends only with an error.
fn serve<T: Copy + Send>(
    found: &Handover<T>,
    messages: &OwnedFd,
    thread: CheckThread,
    check: impl Fn(T) -> Result<(), String> + Sync,
) -> io::Result<()> {
    let fork = |number| {
        Child::spawn(Purpose::Check(thread), || {
            check(found.take(number).map_err(|error| error.to_string())?)
        })
    };
    let mut next = fork(1)?;
    send_message(messages, Some(&next), "")?;
    for number in 1.. {
        let check = next;
        while !found.is_taken_within(number, LOOK_INTERVAL)? {
            if wait(&[&check.ended], Some(Instant::now()))? {
                // Makes room for the next value.
                found.take(number)?;
            }
        }
        next = fork(number + 1)?;
        let status = check.reap_status()?;
        send_message(messages, Some(&next), &describe(status))?;
    }
    Ok(())
}

/// Sends the process that waits for the next check, and a text.
fn send_message(messages: &OwnedFd, next: Option<&Child>, text: &str) -> io::Result<()> {
    let pid = Pid::as_raw(next.map(|next| next.pid)).to_ne_bytes();
    let descriptors = next.map(|next| [next.ended.as_fd(), next.channel.as_fd()]);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if let Some(descriptors) = &descriptors {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let parts = [IoSlice::new(&pid), IoSlice::new(text.as_bytes())];
    sendmsg(messages, &parts, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits until one of these processes has ended, or one of these channels has a report. Returns
/// false at the deadline.
fn wait(awaited: &[&OwnedFd], deadline: Option<Instant>) -> io::Result<bool> {
    let mut polled: Vec<PollFd<'_>> = awaited
        .iter()
        .map(|awaited| PollFd::new(*awaited, PollFlags::IN))
        .collect();
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map(Timespec::try_from).transpose();
        let timeout = timeout.map_err(io::Error::other)?;
        match poll(&mut polled, timeout.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::child_report::ChildEnd;
    use super::*;
    use crate::os::fork::in_process_with_one_thread;
    use std::array;
    use std::cell::Cell;
    use std::thread;

    thread_local! {
        static IS_THREAD_OF_THE_TEST: Cell<bool> = const { Cell::new(false) };
    }

    /// The stack of a new thread, other than its top, is overwritten by this function.
    fn overwrite_stack() -> u64 {
        let mut bytes = [0x55_u8; 1 << 20];
        std::hint::black_box(&mut bytes)
            .iter()
            .map(|byte| u64::from(*byte))
            .sum()
    }

    /// Checks twice on a thread of this kind. Returns both ends.
    fn check_twice(kind: CheckThread) -> [ChildEnd; 2] {
        IS_THREAD_OF_THE_TEST.set(true);
        let captured = std::hint::black_box([7_u8; 64 << 10]);
        let check = |_: &Path, number: u32| {
            if IS_THREAD_OF_THE_TEST.get() {
                return Err("a thread-local of the test".to_owned());
            }
            let threads: [_; 4] = array::from_fn(|_| thread::spawn(overwrite_stack));
            for thread in threads {
                thread.join().map_err(|_| "a thread".to_owned())?;
            }
            match captured.iter().all(|byte| *byte == 7) {
                true => Err(format!("check {number}")),
                false => Err("the stack of the test was overwritten".to_owned()),
            }
        };
        let mut server = CheckServer::start(Path::new("/"), &check, kind).unwrap();
        [1, 2].map(|number| server.check(number).unwrap().end)
    }

    fn assert_checks(kind: CheckThread) {
        let expected = ["check 1", "check 2"].map(|text| Err(text.to_owned()));
        assert!(in_process_with_one_thread(|| {
            // On a thread of its own, like a test.
            let ends = thread::scope(|scope| scope.spawn(|| check_twice(kind)).join());
            ends.unwrap() == expected.map(ChildEnd::Returned)
        }));
    }

    #[test]
    fn new_thread_checks_without_the_locals_of_the_test() {
        assert_checks(CheckThread::New);
    }

    #[test]
    fn copied_thread_leaves_the_stack_of_the_test() {
        if let copied @ CheckThread::Copied(_) = CheckThread::choose() {
            assert_checks(copied);
        }
    }
}
