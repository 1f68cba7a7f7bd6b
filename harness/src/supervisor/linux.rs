//! Supervision with a subreaper, a pidfd and `/proc`.

use super::fork;
use crate::case::{CaseDir, CaseSpec};
use crate::duration::deadline;
use crate::ending::{Ending, Exit};
use crate::isolation::Isolation;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, kill_process_group, pidfd_open,
    set_child_subreaper, wait, waitpid,
};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

pub(super) const CONTAINMENT: Result<(), &str> = Ok(());

/// How long processes that were already told to end, but not waited for, may take to do so before they count as left behind.
const SETTLE: Duration = Duration::from_millis(200);

/// How long killed processes may take to die. Only the kernel can keep one longer (uninterruptible sleep).
const DYING: Duration = Duration::from_secs(5);

/// This process, as the one that orphans below it fall to.
#[derive(Debug)]
pub(super) struct Supervisor {
    isolation: Isolation,
}

impl Supervisor {
    pub(super) fn new(isolation: Isolation) -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        Ok(Self { isolation })
    }

    /// The runner's next line; `None` when there will be no more.
    pub(super) fn next_order(&mut self) -> io::Result<Option<String>> {
        let mut order = String::new();
        // Locked for this call alone: a forked test inherits a lock that is held, and could never take it.
        let read = io::stdin().read_line(&mut order)?;
        Ok((read > 0).then_some(order))
    }

    /// Runs a case to its end; `None` when the runner went away first.
    pub(super) fn supervise(
        &mut self,
        case: &CaseDir,
        spec: &CaseSpec,
    ) -> io::Result<Option<Ending>> {
        let began = Instant::now();
        // A library can start threads before `main`; locks that they hold would stay locked in a fork.
        let isolation = match self.isolation {
            Isolation::Fork if has_other_threads() => Isolation::Exec,
            isolation => isolation,
        };
        let test = match isolation {
            Isolation::Exec => Pid::from_child(&super::execute(case)?),
            Isolation::Fork => fork::test(case, super::output(case)?)?,
        };
        let pidfd = pidfd_open(test, PidfdFlags::empty())?;

        let woken = wait_for(&pidfd, deadline(spec.timeout))?;
        let timed_out = woken == Woken::Deadline;
        let mut runner_gone = woken == Woken::RunnerGone;
        let grace = deadline(if timed_out { spec.grace } else { SETTLE });
        if timed_out {
            let _ = kill_process_group(test, Signal::TERM); // fails when it has just ended
            runner_gone = wait_for(&pidfd, grace)? == Woken::RunnerGone;
        }
        // Our child's number is its own until we have reaped it; killing one that has ended does nothing.
        kill_process(test, Signal::KILL)?;
        let exit = reap_test(test)?;
        let duration = began.elapsed();
        if !runner_gone {
            settle(grace)?;
        }
        let left_behind = descendants();
        sweep()?;
        Ok((!runner_gone).then_some(Ending {
            exit,
            timed_out,
            isolation,
            duration,
            left_behind,
        }))
    }
}

/// Whether this process has threads other than the calling one; if nobody can tell, it has.
fn has_other_threads() -> bool {
    fs::read_dir("/proc/self/task").map_or(true, |tasks| tasks.count() != 1)
}

/// Waits for the end of the test, which has come or is at hand.
fn reap_test(test: Pid) -> io::Result<Exit> {
    loop {
        match waitpid(Some(test), WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                return Ok(match status.exit_status() {
                    Some(code) => Exit::Code(code),
                    None => Exit::Signal(status.terminating_signal().unwrap_or(0)),
                });
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Woken {
    TestEnded,
    Deadline,
    RunnerGone,
}

/// Waits for the first of: the test's end, the deadline, the end of the runner (who holds our standard input open and never writes).
fn wait_for(pidfd: &OwnedFd, deadline: Instant) -> io::Result<Woken> {
    let stdin = io::stdin();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Woken::Deadline);
        }
        // A limit of centuries does not fit; a shorter wait only wakes us to wait again.
        let wait = left.min(Duration::from_secs(3600));
        let timeout = Timespec::try_from(wait).map_err(io::Error::other)?;
        let mut watched = [
            PollFd::new(pidfd, PollFlags::IN),
            PollFd::new(&stdin, PollFlags::IN),
        ];
        match poll(&mut watched, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if !watched[0].revents().is_empty() {
            return Ok(Woken::TestEnded);
        }
        if !watched[1].revents().is_empty() {
            return Ok(Woken::RunnerGone);
        }
    }
}

/// Gives children that were told to end, or are already on their way out, until then to go.
fn settle(deadline: Instant) -> io::Result<()> {
    while reap()? == Children::Alive && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Kills all children, and the children that we inherit by that, until there are none.
fn sweep() -> io::Result<()> {
    let deadline = Instant::now() + DYING;
    while reap()? == Children::Alive && Instant::now() < deadline {
        let processes = processes();
        for process in processes
            .values()
            .filter(|process| process.parent == getpid())
        {
            // Nobody else can reap our child, so its number cannot have been given to another process.
            let _ = kill_process(process.pid, Signal::KILL);
        }
        thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Children {
    Alive,
    None,
}

/// Takes note of all children that have ended, and tells whether there are others.
fn reap() -> io::Result<Children> {
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

/// The command lines of all living processes below this one.
fn descendants() -> Vec<String> {
    let processes = processes();
    let is_below = |process: &Process| {
        let mut parent = process.parent;
        // A process can change its parent while we look, but never into a circle longer than all there are.
        for _ in 0..processes.len() {
            if parent == getpid() {
                return true;
            }
            match processes.get(&parent) {
                Some(next) => parent = next.parent,
                None => return false,
            }
        }
        false
    };
    let mut below: Vec<_> = processes
        .values()
        .filter(|process| is_below(process))
        .collect();
    below.sort_by_key(|process| process.pid.as_raw_nonzero());
    below.into_iter().map(Process::command_line).collect()
}

struct Process {
    pid: Pid,
    parent: Pid,
    /// The name of the program, for processes without a command line.
    name: String,
}

impl Process {
    /// Reads `/proc/PID/stat`: `PID (NAME) STATE PPID …`, where the name may hold anything, parentheses included.
    fn parse(stat: &str) -> Option<Self> {
        let (pid, rest) = stat.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?;
        let parent = fields.next()?;
        let alive = state != "Z" && state != "X";
        alive.then_some(Self {
            pid: Pid::from_raw(pid.parse().ok()?)?,
            parent: Pid::from_raw(parent.parse().ok()?)?,
            name: name.to_owned(),
        })
    }

    fn command_line(&self) -> String {
        let arguments =
            fs::read(format!("/proc/{}/cmdline", self.pid.as_raw_nonzero())).unwrap_or_default();
        let words: Vec<_> = arguments
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(String::from_utf8_lossy)
            .collect();
        if words.is_empty() {
            format!("[{}]", self.name)
        } else {
            words.join(" ")
        }
    }
}

/// All living processes that can be seen, by number.
fn processes() -> HashMap<Pid, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            entry
                .file_name()
                .as_encoded_bytes()
                .first()
                .is_some_and(u8::is_ascii_digit)
        })
        .filter_map(|entry| fs::read(entry.path().join("stat")).ok())
        .filter_map(|stat| Process::parse(&String::from_utf8_lossy(&stat)))
        .map(|process| (process.pid, process))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_programs_may_hold_parentheses_and_spaces() {
        let process = Process::parse("17 (a) R (b c) S 4 17 17 0 -1").unwrap();
        assert_eq!(process.pid.as_raw_nonzero().get(), 17);
        assert_eq!(process.parent.as_raw_nonzero().get(), 4);
        assert_eq!(process.name, "a) R (b c");
    }

    #[test]
    fn the_dead_are_not_listed() {
        assert!(Process::parse("17 (sh) Z 4 17 17 0 -1").is_none());
        assert!(Process::parse("nonsense").is_none());
    }
}
