//! Supervision with a reaper of orphans, a pidfd and `/proc`.

use super::orders::Orders;
use super::{fork, threads};
use crate::data::case::Case;
use crate::data::duration::deadline;
use crate::data::ending::{Cut, Ending};
use crate::os::affinity;
use crate::os::change_detector::ChangeDetector;
use crate::os::directory::{entry_names, remove};
use crate::os::fork::has_other_threads;
use crate::os::processes::{descendants, processes};
use crate::os::timestamp_granularity::TimestampGranularity;
use crate::supervisor::protocol::Order;
use crate::supervisor::role::Post;
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

/// How long processes that were already told to end, but not waited for, may take to do so before they count as left behind.
const SETTLE: Duration = Duration::from_millis(200);

/// How long killed processes may take to die. Only the kernel can keep one longer (uninterruptible sleep), or a storm of forks.
const DYING: Duration = Duration::from_secs(5);

/// This process, as the one that orphans below it fall to.
#[derive(Debug)]
pub(super) struct Supervisor {
    isolation: Isolation,
    orders: Orders,
    /// Folders that only this supervisor's tests can see, and that are empty between them.
    private: Vec<ChangeDetector>,
    /// Whether it is ready to be forked, which it is made for the first test.
    zygote: Option<fork::Zygote>,
}

impl Supervisor {
    pub(super) fn new(post: &Post, private: Vec<PathBuf>) -> io::Result<Self> {
        affinity::bind(post.processor);
        // So that its tests need not make one each. It may lead a process group already, and then cannot.
        let _ = setsid();
        Ok(Self {
            isolation: post.isolation,
            orders: Orders::default(),
            private: private.into_iter().map(watched).collect(),
            zygote: None,
        })
    }

    /// The runner's next order; none when there will be no more.
    pub(super) fn next_order(&mut self) -> io::Result<Option<Order>> {
        self.orders.next()
    }

    /// Whether the runner is gone.
    pub(super) fn is_abandoned(&self) -> bool {
        let stdin = rustix::stdio::stdin();
        let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
        let polled = poll(&mut watched, Some(&Timespec::default()));
        polled.is_ok() && watched[0].revents().contains(PollFlags::HUP)
    }

    /// Runs a case to its end; `None` when the runner went away first.
    pub(super) fn supervise(&mut self, case: &Case) -> io::Result<Option<Ending>> {
        let began = Instant::now();
        // A library can start threads before `main`; locks that they hold would stay locked in a fork.
        let isolation = match self.isolation {
            Isolation::Fork if self.zygote.is_none() && has_other_threads() => Isolation::Exec,
            isolation => isolation,
        };
        let test = match isolation {
            Isolation::Exec => {
                affinity::unbind();
                Pid::from_child(&super::execute(case)?)
            }
            _ => {
                if self.zygote.is_none() {
                    self.zygote = Some(fork::Zygote::prepare(case)?);
                }
                fork::test(case, &mut self.zygote)?
            }
        };
        let pidfd = pidfd_open(test, PidfdFlags::empty())?;

        let mut woken = self.wait_for(&pidfd, deadline(case.spec.timeout))?;
        let cut = match woken {
            Woken::Deadline => Some(Cut::TimedOut),
            Woken::Interrupted => Some(Cut::Interrupted),
            Woken::TestEnded | Woken::RunnerGone => None,
        };
        let mut hung = Vec::new();
        let grace = deadline(if cut.is_some() {
            case.spec.grace
        } else {
            SETTLE
        });
        if cut.is_some() {
            hung = threads::look(test);
            if kill_process_group(test, Signal::TERM).is_err() {
                let _ = kill_process(test, Signal::TERM); // it has left its group; or it has just ended
            }
            woken = Woken::Interrupted;
            while woken == Woken::Interrupted {
                woken = self.wait_for(&pidfd, grace)?;
            }
        }
        // Our child's number is its own until we have reaped it; killing one that has ended does nothing.
        kill_process(test, Signal::KILL)?;
        let (exit, usage) = fork::reap(test)?;
        if let Some(zygote) = &self.zygote {
            zygote.restore()?;
        }
        let duration = began.elapsed();
        let runner_gone = woken == Woken::RunnerGone;
        let (mut left_behind, mut retires) = (Vec::new(), false);
        // What has lost its parent is our child: when we have none, nothing is left.
        if reap()? == Children::Alive {
            if !runner_gone && settle(grace)? == Children::Alive {
                left_behind = descendants()
                    .iter()
                    .map(|left| left.command_line())
                    .collect();
            }
            retires = sweep()? == Children::Alive;
        }
        let left_files = self.clear_private_folders()?;
        Ok((!runner_gone).then_some(Ending {
            exit,
            cut,
            hung,
            isolation,
            duration,
            usage,
            left_behind,
            left_files,
            retires,
        }))
    }

    /// Waits for the first of: the test's end, the deadline, an order to end the case, the end of the runner.
    fn wait_for(&mut self, pidfd: &OwnedFd, deadline: Instant) -> io::Result<Woken> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Woken::Deadline);
            }
            // A limit of centuries does not fit; a shorter wait only wakes us to wait again.
            let wait = left.min(Duration::from_secs(3600));
            let timeout = Timespec::try_from(wait).map_err(io::Error::other)?;
            let stdin = rustix::stdio::stdin();
            let mut watched = [
                PollFd::new(pidfd, PollFlags::IN),
                PollFd::new(&stdin, PollFlags::IN),
            ];
            if !self.orders.has_next() {
                match poll(&mut watched, Some(&timeout)) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if !watched[0].revents().is_empty() {
                return Ok(Woken::TestEnded);
            }
            if self.orders.has_next() || !watched[1].revents().is_empty() {
                return Ok(match self.orders.next()? {
                    Some(Order::Interrupt) => Woken::Interrupted,
                    Some(Order::Run(_) | Order::Farewell) | None => Woken::RunnerGone,
                });
            }
        }
    }

    /// Removes what a test left in the folders that are the slot's own, and names it.
    fn clear_private_folders(&mut self) -> io::Result<Vec<String>> {
        let mut left = Vec::new();
        for folder in &mut self.private {
            if folder.is_unchanged() {
                continue;
            }
            for name in entry_names(folder.path())? {
                let path = folder.path().join(name);
                remove(&path)?;
                left.push(path.display().to_string());
            }
            folder.restore_permissions()?;
            *folder = watched(folder.path().to_owned());
        }
        Ok(left)
    }
}

/// An empty folder that the supervisor does not change itself, so that any times will do.
fn watched(folder: PathBuf) -> ChangeDetector {
    ChangeDetector::new(folder, 0, TimestampGranularity::Coarse)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Woken {
    TestEnded,
    Deadline,
    Interrupted,
    RunnerGone,
}

/// Gives children that were told to end, or are already on their way out, until then to go.
fn settle(deadline: Instant) -> io::Result<Children> {
    while reap()? == Children::Alive {
        if Instant::now() >= deadline {
            return Ok(Children::Alive);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(Children::None)
}

/// Kills all children, and the children that we inherit by that, until there are none.
fn sweep() -> io::Result<Children> {
    let deadline = Instant::now() + DYING;
    while reap()? == Children::Alive {
        if Instant::now() >= deadline {
            return Ok(Children::Alive);
        }
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
    Ok(Children::None)
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
