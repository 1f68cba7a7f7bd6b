//! The threads of an operation, which each run names in the same way.

use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::thread_creation::ThreadNumberAddress;
use std::collections::HashMap;

/// A thread of the operation. Equal callers of two runs are the same thread of the code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Caller {
    /// The number of the process, from 0, in the order of first calls.
    process: usize,
    thread: ThreadOrigin,
}

#[cfg(test)]
impl Caller {
    /// Gives the thread with this number among those that the main thread created.
    pub(super) fn numbered(number: usize) -> Self {
        Self {
            process: 0,
            thread: ThreadOrigin::Created(vec![number]),
        }
    }
}

/// The way in which a thread is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ThreadOrigin {
    /// The path from the main thread: each number counts the threads that one thread created. Empty
    /// for the main thread.
    Created(Vec<usize>),
    /// The number of the thread in its process, in the order of first calls. Used if the kernel was
    /// not asked to store the thread's number.
    Seen(usize),
}

/// A created thread that has not made a call yet.
#[derive(Debug)]
struct Birth {
    process: u32,
    address: ThreadNumberAddress,
    caller: Caller,
}

/// The threads of one run.
#[derive(Debug, Default)]
pub(super) struct Callers {
    threads: HashMap<u32, Caller>,
    processes: Vec<u32>,
    births: Vec<Birth>,
    /// The number of threads that each thread has created.
    created: HashMap<Caller, usize>,
    /// The number of threads of unknown origin.
    seen: usize,
}

impl Callers {
    /// Notes a call that creates a thread.
    pub(super) fn note_creation(&mut self, waiting: &WaitingCall, tracee: &Tracee) {
        let Some(address) = ThreadNumberAddress::of(waiting, tracee) else {
            return;
        };
        let Ok(process) = tracee.process() else {
            return;
        };
        let parent = self.identify(waiting.thread, tracee);
        let number = self.created.entry(parent.clone()).or_insert(0);
        *number += 1;
        if let ThreadOrigin::Created(path) = &parent.thread {
            let path = path.iter().copied().chain([*number]).collect();
            self.births.push(Birth {
                process: process.as_raw_nonzero().get().unsigned_abs(),
                address,
                caller: Caller {
                    process: parent.process,
                    thread: ThreadOrigin::Created(path),
                },
            });
        }
    }

    /// Gives the identity of a thread that waits in a call.
    pub(super) fn identify(&mut self, thread: u32, tracee: &Tracee) -> Caller {
        if let Some(known) = self.threads.get(&thread) {
            return known.clone();
        }
        let process = tracee.process().map_or(thread, |process| {
            process.as_raw_nonzero().get().unsigned_abs()
        });
        let caller = self.origin(thread, process, tracee);
        self.threads.insert(thread, caller.clone());
        caller
    }

    fn origin(&mut self, thread: u32, process: u32, tracee: &Tracee) -> Caller {
        // The memory of an ended thread can serve a later one, so the last birth counts.
        let is_birth =
            |birth: &Birth| birth.process == process && birth.address.is_of(thread, tracee);
        if let Some(index) = self.births.iter().rposition(is_birth) {
            let born = self.births.remove(index);
            self.births
                .retain(|birth| birth.process != process || birth.address != born.address);
            return born.caller;
        }
        let number = self.processes.iter().position(|known| *known == process);
        let number = number.unwrap_or_else(|| {
            self.processes.push(process);
            self.processes.len() - 1
        });
        let thread = if thread == process {
            ThreadOrigin::Created(Vec::new())
        } else {
            self.seen += 1;
            ThreadOrigin::Seen(self.seen)
        };
        Caller {
            process: number,
            thread,
        }
    }
}
