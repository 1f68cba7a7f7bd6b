//! Stops the descendants of this process, and continues them.

use crate::os::processes::descendants;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

/// The longest wait until all processes have stopped. A process in uninterruptible sleep stops
/// later.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// Processes that were stopped by [`StoppedProcesses::stop_descendants`]. Dropping the value
/// continues them.
#[derive(Debug)]
pub(crate) struct StoppedProcesses {
    // A descriptor, unlike a process ID, never leads to another process.
    stopped: HashMap<Pid, OwnedFd>,
}

impl StoppedProcesses {
    /// Stops all descendants of this process. Leaves out processes that are stopped already, so
    /// that a process which a test has stopped stays stopped.
    pub(crate) fn stop_descendants() -> Self {
        let mut all = Self {
            stopped: HashMap::new(),
        };
        let deadline = Instant::now() + STOP_TIMEOUT;
        // A process can start others until it stops, so the descendants are listed again.
        loop {
            let mut are_stopped = true;
            for process in descendants() {
                if process.is_stopped {
                    continue;
                }
                are_stopped = false;
                if !all.stopped.contains_key(&process.pid) {
                    all.stop(process.pid);
                }
            }
            if are_stopped || Instant::now() >= deadline {
                return all;
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    fn stop(&mut self, pid: Pid) {
        // Both calls fail only if the process has ended.
        let stopped = pidfd_open(pid, PidfdFlags::empty())
            .and_then(|process| pidfd_send_signal(&process, Signal::STOP).map(|()| process));
        if let Ok(process) = stopped {
            self.stopped.insert(pid, process);
        }
    }
}

impl Drop for StoppedProcesses {
    fn drop(&mut self) {
        for process in self.stopped.values() {
            let _ = pidfd_send_signal(process, Signal::CONT);
        }
    }
}
