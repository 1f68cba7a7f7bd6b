//! Processes that an operation leaves behind.

use crate::os::processes::{ProcessEntry, dead_children, descendants, has_children};
use rustix::io::retry_on_intr;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid,
};
use std::cell::Cell;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// The maximum time that killed processes may take to disappear.
pub(super) const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Kills the processes that operations leave behind. Spares the test's older processes.
#[derive(Debug)]
pub(super) struct Orphans {
    own: Vec<Pid>,
    /// The process of the exploration that has children of its own.
    tolerated: Cell<Option<Pid>>,
}

impl Orphans {
    /// Makes this process the new parent of each descendant that loses its parent from now on.
    pub(super) fn adopt() -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        // To look through `/proc` costs more than a run of the operation.
        let own = match has_children() {
            true => {
                let living = descendants().into_iter().map(|process| process.pid);
                living.chain(dead_children()).collect()
            }
            false => Vec::new(),
        };
        Ok(Self {
            own,
            tolerated: Cell::new(None),
        })
    }

    /// Spares this process and its children from now on, and no other process of the exploration.
    pub(super) fn tolerate(&self, process: Option<Pid>) {
        self.tolerated.set(process);
    }

    fn is_spared(&self, process: &ProcessEntry) -> bool {
        let tolerated = self.tolerated.get();
        [process.pid, process.parent]
            .iter()
            .any(|pid| tolerated == Some(*pid))
            || self.own.contains(&process.pid)
    }

    /// Whether a descendant lives that did not exist when [`adopt`](Self::adopt) was called.
    pub(super) fn are_alive(&self) -> bool {
        let mut living = descendants().into_iter();
        living.any(|process| !self.is_spared(&process))
    }

    /// Reaps all dead children that did not exist when [`adopt`](Self::adopt) was called.
    pub(super) fn reap(&self) {
        for child in dead_children() {
            if self.tolerated.get() != Some(child) && !self.own.contains(&child) {
                let _ = retry_on_intr(|| waitpid(Some(child), WaitOptions::NOHANG));
            }
        }
    }

    /// Kills all descendants that did not exist when [`adopt`](Self::adopt) was called. Returns
    /// whether there were such descendants.
    pub(super) fn kill(&self) -> bool {
        let mut found = false;
        for process in descendants() {
            if self.is_spared(&process) {
                continue;
            }
            found = true;
            let _ = kill_process(process.pid, Signal::KILL);
            // Reaps the process if it is a child of this process. Any other descendant becomes a
            // child when its parent dies. A later call of `kill` then reaps that descendant.
            let _ = retry_on_intr(|| waitpid(Some(process.pid), WaitOptions::NOHANG));
        }
        found
    }

    /// Kills as [`kill`](Self::kill) does, until no such descendant is left.
    pub(super) fn end_all(&self) -> io::Result<()> {
        let deadline = Instant::now() + KILL_TIMEOUT;
        while self.kill() {
            if Instant::now() >= deadline {
                return Err(io::Error::other(format!(
                    "processes are still alive {} s after they were killed",
                    KILL_TIMEOUT.as_secs()
                )));
            }
            thread::yield_now();
        }
        Ok(())
    }
}

impl Drop for Orphans {
    fn drop(&mut self) {
        let _ = set_child_subreaper(None);
    }
}
