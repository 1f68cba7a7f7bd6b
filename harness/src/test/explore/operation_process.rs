//! Names the processes of an explored operation.

use std::fmt;

/// The maximum number of generations below the operation's own process.
pub(super) const GENERATIONS: usize = 8;

/// The maximum length of a program's name, in bytes, as the kernel keeps it.
const PROGRAM_LENGTH: usize = 15;

/// A process of an explored operation. Each run of the operation gives it the same name.
///
/// Processes are named by the order in which their parents create them, for example
/// `child 2 of child 1 (cp)`. A child counts even if it makes no call on files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperationProcess {
    numbers: [u32; GENERATIONS],
    generations: usize,
    is_identified: bool,
    program: [u8; PROGRAM_LENGTH],
}

#[cfg(target_os = "linux")]
impl OperationProcess {
    /// Names the process that runs the operation.
    pub(super) const OPERATION: Self = Self {
        numbers: [0; GENERATIONS],
        generations: 0,
        is_identified: true,
        program: [0; PROGRAM_LENGTH],
    };

    /// Names a process whose place among the processes is unknown.
    pub(super) const UNIDENTIFIED: Self = Self {
        is_identified: false,
        ..Self::OPERATION
    };

    /// Names the child that this process created as its child with this number, from 1. The child
    /// has the program of its parent until it executes another.
    pub(super) fn child(mut self, number: u32) -> Self {
        match self.numbers.get_mut(self.generations) {
            Some(last) if self.is_identified => {
                *last = number;
                self.generations += 1;
                self
            }
            _ => self.unidentified(),
        }
    }

    /// Names a process of the same program whose place among the processes is unknown.
    pub(super) fn unidentified(self) -> Self {
        Self {
            program: self.program,
            ..Self::UNIDENTIFIED
        }
    }

    /// Names the same process, which executes the program with this name.
    pub(super) fn with_program(mut self, name: &str) -> Self {
        self.program = [0; PROGRAM_LENGTH];
        let bytes = name.bytes().filter(u8::is_ascii_graphic);
        for (to, byte) in self.program.iter_mut().zip(bytes) {
            *to = byte;
        }
        self
    }

    /// Whether both names are those of the same process. It can execute another program meanwhile.
    /// False if one of them is not identified.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.is_identified && other.is_identified && self.numbers() == other.numbers()
    }
}

impl OperationProcess {
    /// Whether this is the process in which the operation was called.
    #[must_use]
    pub fn is_operation(&self) -> bool {
        self.is_identified && self.generations == 0
    }

    /// Whether each run gives this process the same name. False for a process that lost its parent
    /// before its first call on files, and for a child of a process whose threads create processes
    /// side by side.
    #[must_use]
    pub fn is_identified(&self) -> bool {
        self.is_identified
    }

    /// The numbers of the children that lead to this process, each from 1. `[1, 2]` is the second
    /// child of the first child of the operation's own process. Empty for the operation's own
    /// process and for a process that is not identified.
    #[must_use]
    pub fn numbers(&self) -> &[u32] {
        &self.numbers[..self.generations]
    }

    /// The name of the program that the process has executed, cut to 15 bytes. None if it runs the
    /// program of the test.
    #[must_use]
    pub fn program(&self) -> Option<&str> {
        let length = self.program.iter().take_while(|byte| **byte != 0).count();
        let name = str::from_utf8(&self.program[..length]).ok();
        name.filter(|name| !name.is_empty())
    }
}

impl fmt::Display for OperationProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.numbers().split_last() {
            _ if !self.is_identified => f.write_str("an unidentified process")?,
            None => return f.write_str("the operation's own process"),
            Some((last, parents)) => {
                write!(f, "child {last}")?;
                for number in parents.iter().rev() {
                    write!(f, " of child {number}")?;
                }
            }
        }
        match self.program() {
            Some(program) => write!(f, " ({program})"),
            None => Ok(()),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn process_is_named_by_its_parents_and_its_program() {
        let operation = OperationProcess::OPERATION;
        assert!(operation.is_operation());
        assert_eq!(operation.to_string(), "the operation's own process");
        let shell = operation.child(1).with_program("sh");
        assert_eq!(shell.to_string(), "child 1 (sh)");
        let copy = shell.child(2);
        assert_eq!(copy.to_string(), "child 2 of child 1 (sh)");
        assert_eq!(copy.numbers(), [1, 2]);
        assert!(copy.is_same(&copy.with_program("cp")));
        assert!(!copy.is_same(&shell));
    }

    #[test]
    fn too_many_generations_are_not_identified() {
        let deepest =
            (0..GENERATIONS).fold(OperationProcess::OPERATION, |process, _| process.child(1));
        assert!(deepest.is_identified());
        let lost = deepest.child(1);
        assert!(!lost.is_identified() && !lost.is_same(&lost));
        assert_eq!(lost.numbers(), [0; 0]);
        assert_eq!(lost.to_string(), "an unidentified process");
        assert!(!lost.child(1).is_identified());
    }
}
