//! The threads of an operation, which each run names in the same way.

use super::operation_process::OperationProcess;
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::thread_creation::ThreadNumberAddress;
use std::collections::HashMap;

/// A thread of the operation. Equal callers of two runs are the same thread of the code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Caller {
    process: ProcessOrigin,
    thread: ThreadOrigin,
}

/// The way in which a process is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ProcessOrigin {
    /// The path from the operation's own process: each number counts the children of one process.
    Created(Vec<u32>),
    /// The number of the process, from 0, in the order of first calls. Used if the process is
    /// not identified.
    Seen(usize),
}

#[cfg(test)]
impl Caller {
    /// Gives the thread with this number among those that the main thread created.
    pub(super) fn numbered(number: usize) -> Self {
        Self {
            process: ProcessOrigin::Created(Vec::new()),
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
    process: usize,
    address: ThreadNumberAddress,
    caller: Caller,
}

/// The threads of one run.
#[derive(Debug, Default)]
pub(super) struct Callers {
    /// The identified threads, by the numbers of their process and of themselves.
    threads: HashMap<(usize, u32), Caller>,
    births: Vec<Birth>,
    /// The number of threads that each thread has created.
    created: HashMap<Caller, usize>,
    /// The number of threads of unknown origin.
    seen: usize,
}

impl Callers {
    /// Notes a call that creates a thread. `process` is the index of the caller's process in this
    /// run.
    pub(super) fn note_creation(
        &mut self,
        waiting: &WaitingCall,
        tracee: &Tracee,
        process: usize,
        name: &OperationProcess,
    ) {
        let Some(address) = ThreadNumberAddress::of(waiting, tracee) else {
            return;
        };
        let parent = self.identify(waiting.thread, tracee, process, name);
        let number = self.created.entry(parent.clone()).or_insert(0);
        *number += 1;
        if let ThreadOrigin::Created(path) = &parent.thread {
            let path = path.iter().copied().chain([*number]).collect();
            self.births.push(Birth {
                process,
                address,
                caller: Caller {
                    process: parent.process,
                    thread: ThreadOrigin::Created(path),
                },
            });
        }
    }

    /// Gives the identity of a thread that waits in a call. `process` is the index of its process
    /// in this run.
    pub(super) fn identify(
        &mut self,
        thread: u32,
        tracee: &Tracee,
        process: usize,
        name: &OperationProcess,
    ) -> Caller {
        if let Some(known) = self.threads.get(&(process, thread)) {
            return known.clone();
        }
        let caller = self.origin(thread, tracee, process, name);
        self.threads.insert((process, thread), caller.clone());
        caller
    }

    fn origin(
        &mut self,
        thread: u32,
        tracee: &Tracee,
        process: usize,
        name: &OperationProcess,
    ) -> Caller {
        // The memory of an ended thread can serve a later one, so the last birth counts.
        let is_birth =
            |birth: &Birth| birth.process == process && birth.address.is_of(thread, tracee);
        if let Some(index) = self.births.iter().rposition(is_birth) {
            let born = self.births.remove(index);
            self.births
                .retain(|birth| birth.process != process || birth.address != born.address);
            return born.caller;
        }
        let is_main = tracee
            .process()
            .is_ok_and(|main| main.as_raw_nonzero().get().unsigned_abs() == thread);
        Caller {
            process: match name.is_identified() {
                true => ProcessOrigin::Created(name.numbers().to_vec()),
                false => ProcessOrigin::Seen(process),
            },
            thread: if is_main {
                ThreadOrigin::Created(Vec::new())
            } else {
                self.seen += 1;
                ThreadOrigin::Seen(self.seen)
            },
        }
    }
}
