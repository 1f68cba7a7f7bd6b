//! The three roles of a test binary, and how a process of it learns its own.
//!
//! Started by Cargo or a person, the binary is the *runner*. The runner starts the same binary again as the *supervisor* of
//! one case, and the supervisor starts it once more as the *test* itself. The role stands in the first arguments.

use crate::case::CaseDir;
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{self, Command};

/// The first argument of a process that is not the runner.
const MARK: &str = "__clarity_chaos";

/// What a process was started for, if not as the runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Watches over one case.
    Supervisor,
    /// Runs the test of one case.
    Test,
}

/// What a supervisor or test is told.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) role: Role,
    pub(crate) case: CaseDir,
    /// The process that gave it.
    pub(crate) parent: u32,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Test => "test",
        }
    }

    /// The command that starts this binary again in this role.
    pub(crate) fn command(self, case: &CaseDir) -> io::Result<Command> {
        let mut command = Command::new(env::current_exe()?);
        command
            .args([MARK, self.word(), &process::id().to_string()])
            .arg(case.root());
        Ok(command)
    }
}

impl Assignment {
    /// Reads the arguments of a process, its own name left out; `None` for the runner's.
    ///
    /// # Errors
    ///
    /// When they begin like ours and go on otherwise.
    pub(crate) fn parse(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Option<Result<Self, String>> {
        let mut arguments = arguments.into_iter();
        if arguments.next()? != MARK {
            return None;
        }
        let mut word = || arguments.next().unwrap_or_default();
        let (role, parent, case) = (word(), word(), word());
        let role = [Role::Supervisor, Role::Test]
            .into_iter()
            .find(|known| role == known.word());
        let parent = parent.to_str().and_then(|number| number.parse().ok());
        Some(match (role, parent) {
            (Some(role), Some(parent)) => Ok(Self {
                role,
                case: CaseDir::at(PathBuf::from(case)),
                parent,
            }),
            _ => Err(format!("`{MARK}` is for the harness itself")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Option<Result<Assignment, String>> {
        Assignment::parse(words.iter().map(OsString::from))
    }

    #[test]
    fn a_role_survives_the_command_line() {
        let case = CaseDir::at(PathBuf::from("/some where/case"));
        for role in [Role::Supervisor, Role::Test] {
            let command = role.command(&case).unwrap();
            let words: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
            let assignment = Assignment::parse(words).unwrap().unwrap();
            assert_eq!(assignment.role, role);
            assert_eq!(assignment.case.root(), case.root());
            assert_eq!(assignment.parent, process::id());
        }
    }

    #[test]
    fn everything_else_is_the_runners() {
        assert!(parse(&[]).is_none());
        assert!(parse(&["--exact", "test"]).is_none());
        assert!(parse(&[MARK, "king"]).unwrap().is_err());
    }
}
