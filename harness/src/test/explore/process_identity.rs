//! Finds out which process of a running operation makes a call.
//!
//! A process is identified by its parent and by the order in which the parent creates its children.
//! Process numbers differ from run to run, and children make their first calls in any order. So the
//! calls that create processes are intercepted. Before such a call, the kernel tells the number of
//! the newest process. The child's number lies between it and the one before the next call of the
//! creating thread.

use super::operation_process::OperationProcess;
use crate::os::seccomp::listener::WaitingCall;
use crate::os::task_status::{TaskStatus, newest_task};
use rustix::process::Pid;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// The processes of a running operation.
#[derive(Debug, Default)]
pub(super) struct Processes {
    found: Vec<FoundProcess>,
    /// The index of the process of each thread.
    threads: HashMap<u32, usize>,
    newest: u32,
}

#[derive(Debug)]
struct FoundProcess {
    number: u32,
    started: u64,
    origin: Descent,
    program: Option<String>,
    /// The path that the process has asked the kernel to execute, since `program` was read.
    executing: bool,
    executed: Option<PathBuf>,
    creations: Vec<Creation>,
}

/// The creation of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Descent {
    Operation,
    Child {
        parent: usize,
        creation: usize,
    },
    /// More than one creation can have made the process, or none.
    Unknown,
}

/// A call that creates a process.
#[derive(Debug)]
struct Creation {
    thread: u32,
    /// The newest task before the call. None if the kernel does not tell it.
    after: Option<u32>,
    /// The newest task at the thread's next call.
    until: Option<u32>,
    is_claimed: bool,
}

impl Processes {
    /// Reads the status of the thread that makes a call. Gives none if it is known.
    pub(super) fn look(&self, waiting: &WaitingCall) -> io::Result<Option<TaskStatus>> {
        match self.threads.get(&waiting.thread) {
            Some(process) if !self.found[*process].executing => Ok(None),
            _ => TaskStatus::read(waiting.thread).map(Some),
        }
    }

    /// Gives the index of the process that makes a call. `status` comes from
    /// [`look`](Self::look).
    pub(super) fn admit(&mut self, waiting: &WaitingCall, status: Option<TaskStatus>) -> usize {
        let index = match status {
            Some(status) => self.find(waiting.thread, status),
            None => self.threads.get(&waiting.thread).copied().unwrap_or(0),
        };
        let is_open =
            |creation: &Creation| creation.thread == waiting.thread && creation.until.is_none();
        // Only the thread's last creation can be open.
        let creations = &self.found[index].creations;
        if creations.iter().rev().take(1).any(is_open) {
            let newest = self.newest();
            if let Some(creation) = self.found[index].creations.last_mut() {
                creation.until = newest;
            }
        }
        index
    }

    fn find(&mut self, thread: u32, status: TaskStatus) -> usize {
        let known = self.found.iter_mut().position(|process| {
            (process.number, process.started) == (status.process, status.started)
        });
        let index = known.unwrap_or_else(|| {
            let origin = self.origin(&status);
            self.found.push(FoundProcess {
                number: status.process,
                started: status.started,
                origin,
                program: None,
                executing: false,
                executed: None,
                creations: Vec::new(),
            });
            self.found.len() - 1
        });
        let inherited = match self.found[index].origin {
            Descent::Child { parent, .. } => self.found[parent].program.clone(),
            _ => None,
        };
        // The operation's own process is a fork of the test's process, of the same program.
        let process = &mut self.found[index];
        process.program = status.program.or(process.program.take()).or(inherited);
        process.executing = false;
        self.threads.insert(thread, index);
        index
    }

    /// Finds the creation of a new process.
    fn origin(&mut self, status: &TaskStatus) -> Descent {
        if self.found.is_empty() {
            return Descent::Operation;
        }
        let newest = self.newest();
        let parent = self
            .found
            .iter()
            .rposition(|process| process.number == status.parent);
        let mut candidates = Vec::new();
        for (index, process) in self.found.iter().enumerate() {
            // A process whose parent has died has another parent now.
            if parent.is_some_and(|parent| parent != index) {
                continue;
            }
            for (number, creation) in process.creations.iter().enumerate() {
                if !creation.is_claimed && creation.can_have_made(status.process, newest) {
                    candidates.push((index, number));
                }
            }
        }
        match candidates[..] {
            [(parent, creation)] => {
                self.found[parent].creations[creation].is_claimed = true;
                Descent::Child { parent, creation }
            }
            _ => Descent::Unknown,
        }
    }

    /// Notes that a thread is about to create a process.
    pub(super) fn create(&mut self, process: usize, waiting: &WaitingCall) {
        let after = self.newest();
        self.found[process].creations.push(Creation {
            thread: waiting.thread,
            after,
            until: None,
            is_claimed: false,
        });
    }

    /// Notes that a process is about to execute the program at this path.
    pub(super) fn execute(&mut self, process: usize, path: PathBuf) {
        self.found[process].executing = true;
        self.found[process].executed = Some(path);
    }

    /// Gives the path of the last program that the process tried to execute.
    pub(super) fn executed(&self, process: usize) -> Option<&Path> {
        self.found[process].executed.as_deref()
    }

    fn newest(&mut self) -> Option<u32> {
        let newest = newest_task().ok()?;
        if newest < self.newest {
            // The kernel gives numbers of ended threads again.
            self.threads.clear();
        }
        self.newest = newest;
        Some(newest)
    }

    /// Names a process by what is known now.
    pub(super) fn name(&self, index: usize) -> OperationProcess {
        let process = &self.found[index];
        let name = match process.origin {
            Descent::Operation => OperationProcess::OPERATION,
            Descent::Unknown => OperationProcess::UNIDENTIFIED,
            Descent::Child { parent, creation } => {
                let creations = &self.found[parent].creations;
                let creator = creations[creation].thread;
                // Threads that create processes side by side have no order.
                match creations.iter().all(|other| other.thread == creator) {
                    true => self
                        .name(parent)
                        .child(u32::try_from(creation + 1).unwrap_or(0)),
                    false => OperationProcess::UNIDENTIFIED,
                }
            }
        };
        name.with_program(process.program.as_deref().unwrap_or_default())
    }

    /// Gives the number of a process in `/proc`.
    pub(super) fn pid(&self, index: usize) -> io::Result<Pid> {
        let number = i32::try_from(self.found[index].number).ok();
        let pid = number.and_then(Pid::from_raw);
        pid.ok_or_else(|| io::Error::other("a process without a number"))
    }
}

impl Creation {
    /// Whether the call can have made the process with this number.
    fn can_have_made(&self, number: u32, newest: Option<u32>) -> bool {
        let (Some(after), Some(until)) = (self.after, self.until.or(newest)) else {
            return false;
        };
        // The kernel gives rising numbers, and starts again after the greatest.
        match after <= until {
            true => after < number && number <= until,
            false => after < number || number <= until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn creation(after: u32, until: Option<u32>) -> Creation {
        Creation {
            thread: 1,
            after: Some(after),
            until,
            is_claimed: false,
        }
    }

    #[test]
    fn child_has_a_number_after_its_creation() {
        let closed = creation(10, Some(12));
        assert!(closed.can_have_made(11, None) && closed.can_have_made(12, None));
        assert!(!closed.can_have_made(10, None) && !closed.can_have_made(13, Some(13)));
        let open = creation(10, None);
        assert!(open.can_have_made(13, Some(13)) && !open.can_have_made(14, Some(13)));
        assert!(!open.can_have_made(13, None));
    }

    #[test]
    fn numbers_start_again_after_the_greatest() {
        let wrapped = creation(32_767, Some(301));
        assert!(wrapped.can_have_made(301, None) && wrapped.can_have_made(32_768, None));
        assert!(!wrapped.can_have_made(302, None) && !wrapped.can_have_made(32_767, None));
    }

    fn process(origin: Descent, creators: &[u32]) -> FoundProcess {
        FoundProcess {
            number: 0,
            started: 0,
            origin,
            program: None,
            executing: false,
            executed: None,
            creations: creators
                .iter()
                .map(|thread| Creation {
                    thread: *thread,
                    ..creation(0, None)
                })
                .collect(),
        }
    }

    #[test]
    fn children_of_several_threads_are_not_identified() {
        let child = |parent, creation| Descent::Child { parent, creation };
        let mut processes = Processes {
            found: vec![
                process(Descent::Operation, &[7, 7]),
                process(child(0, 1), &[8, 9]),
                process(child(1, 0), &[]),
            ],
            ..Processes::default()
        };
        assert_eq!(processes.name(1).to_string(), "child 2");
        assert!(!processes.name(2).is_identified());
        processes.found[1].creations.pop();
        assert_eq!(processes.name(2).to_string(), "child 1 of child 2");
    }
}
