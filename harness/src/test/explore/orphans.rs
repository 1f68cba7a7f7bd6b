//! Processes that an operation leaves behind.

use crate::os::processes::descendants;
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process, set_child_subreaper,
    waitid, waitpid,
};
use std::io;

/// Kills the processes that operations leave behind. Spares the test's older processes.
#[derive(Debug)]
pub(super) struct Orphans {
    own: Vec<Pid>,
}

impl Orphans {
    /// Makes this process the new parent of each descendant that loses its parent from now on.
    pub(super) fn adopt() -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        Ok(Self {
            own: descendants().iter().map(|process| process.pid).collect(),
        })
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
}

impl Drop for Orphans {
    fn drop(&mut self) {
        let _ = set_child_subreaper(None);
    }
}
