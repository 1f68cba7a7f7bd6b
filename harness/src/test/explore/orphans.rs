//! Processes that an operation leaves behind.

use crate::os::processes::{dead_children, descendants};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process, set_child_subreaper,
    waitid, waitpid,
};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// The maximum time that killed processes may take to disappear.
pub(super) const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Kills the processes that operations leave behind. Spares the test's older processes.
#[derive(Debug)]
pub(super) struct Orphans {
    own: Vec<Pid>,
}

impl Orphans {
    /// Makes this process the new parent of each descendant that loses its parent from now on.
    pub(super) fn adopt() -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        let living = descendants().into_iter().map(|process| process.pid);
        Ok(Self {
            own: living.chain(dead_children()).collect(),
        })
    }

    /// Whether a descendant lives that did not exist when [`adopt`](Self::adopt) was called.
    pub(super) fn are_alive(&self) -> bool {
        let mut living = descendants().into_iter();
        living.any(|process| !self.own.contains(&process.pid))
    }

    /// Reaps all dead children that did not exist when [`adopt`](Self::adopt) was called.
    pub(super) fn reap(&self) {
        for child in dead_children() {
            if !self.own.contains(&child) {
                let _ = retry_on_intr(|| waitpid(Some(child), WaitOptions::NOHANG));
            }
        }
    }

    /// Whether this process surely has no descendants. False if it had some when
    /// [`adopt`](Self::adopt) was called.
    pub(super) fn are_absent(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::All, options).is_err_and(|error| error == Errno::CHILD)
    }

    /// Kills all descendants that did not exist when [`adopt`](Self::adopt) was called. Returns
    /// whether there were such descendants.
    pub(super) fn kill(&self) -> bool {
        let mut found = false;
        for process in descendants() {
            if self.own.contains(&process.pid) {
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
