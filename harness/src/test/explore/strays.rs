//! Processes that an operation has left.

use crate::os::processes::descendants;
use rustix::io::retry_on_intr;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid,
};
use std::io;

/// Tells the processes that operations leave from those that the test has started itself: these were there before.
#[derive(Debug)]
pub(super) struct Strays {
    own: Vec<Pid>,
}

impl Strays {
    /// From now on, what loses its parent becomes a child of this process.
    pub(super) fn watch() -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        Ok(Self {
            own: descendants().iter().map(|process| process.pid).collect(),
        })
    }

    /// Kills what there is now, and tells whether there was something.
    pub(super) fn kill(&self) -> bool {
        let mut found = false;
        for process in descendants() {
            if self.own.contains(&process.pid) {
                continue;
            }
            found = true;
            let _ = kill_process(process.pid, Signal::KILL);
            // Only what is our own child is ours to wait for; what is not will be when its parent is gone.
            let _ = retry_on_intr(|| waitpid(Some(process.pid), WaitOptions::NOHANG));
        }
        found
    }
}

impl Drop for Strays {
    fn drop(&mut self) {
        let _ = set_child_subreaper(None);
    }
}
