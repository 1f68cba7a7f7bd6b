//! The three roles of a test binary, and how a process of it learns its own.
//!
//! Started by Cargo or a person, the binary is the *runner*. The runner starts the same binary again as a *supervisor* for
//! each test that is to run at the same time. A supervisor makes the process of each *test*: by forking, or by starting the binary once
//! more. The role stands in the first arguments.

use crate::data::case::{Case, WorkerDir};
use crate::data::confinement::Confinement;
use clarity_chaos_record::Isolation;
use serde::{Deserialize, Serialize};
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{self, Command};

/// The first argument of a process that is not the runner.
const MARK: &str = "__clarity_chaos";

/// What a process was started for, if not as the runner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Watches over one test after the other.
    Supervisor(Post),
    /// Runs the test of this case.
    Test(Box<Case>),
}

/// What a supervisor needs to know besides its cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Post {
    pub(crate) isolation: Isolation,
    pub(crate) confinement: Confinement,
    /// The processor for its own steps.
    pub(crate) processor: Option<usize>,
    /// The folder that the folders of its cases are in.
    pub(crate) slot: WorkerDir,
    /// The folder of the run, above it.
    pub(crate) run: PathBuf,
}

/// What a supervisor or test is told.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) role: Role,
    /// The process that gave it.
    pub(crate) parent: u32,
}

impl Role {
    /// The command that starts this binary again in this role.
    pub(crate) fn command(self) -> io::Result<Command> {
        let assignment = Assignment {
            role: self,
            parent: process::id(),
        };
        let mut command = Command::new(env::current_exe()?);
        command.args([MARK, &serde_json::to_string(&assignment)?]);
        Ok(command)
    }
}

impl Assignment {
    /// Reads the arguments of a process, its own name left out; `None` for the runner's.
    ///
    /// # Errors
    ///
    /// When they begin like ours and go on otherwise.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Option<io::Result<Self>> {
        let mut arguments = arguments.into_iter();
        if arguments.next()? != MARK {
            return None;
        }
        let text = arguments.next().unwrap_or_default();
        Some(
            serde_json::from_slice(text.as_encoded_bytes())
                .map_err(|_| io::Error::other(format!("`{MARK}` is for the harness itself"))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::case::CaseSpec;
    use clarity_chaos_record::Seed;
    use std::time::Duration;

    #[test]
    fn a_role_survives_the_command_line() {
        let dir = tempfile::tempdir().unwrap();
        let slot = WorkerDir::create(dir.path(), 7).unwrap();
        let spec = CaseSpec {
            name: "m::t".to_owned(),
            path: "c::m::t".to_owned(),
            seed: Seed::new(42),
            timeout: Duration::from_millis(1),
            grace: Duration::MAX,
            log: "a \"word\"".to_owned(),
            restriction: None,
            late_starts: false,
            lasting_threads: Vec::new(),
            sandboxed: true,
        };
        let case = Case::new(&slot, spec);
        for role in [
            Role::Supervisor(Post {
                isolation: Isolation::Exec,
                confinement: Confinement::tightest(),
                processor: Some(1),
                slot,
                run: "/run".into(),
            }),
            Role::Test(Box::new(case)),
        ] {
            let command = role.clone().command().unwrap();
            let words = command.get_args().map(ToOwned::to_owned);
            let assignment = Assignment::parse(words).unwrap().unwrap();
            assert_eq!(assignment.role, role);
            assert_eq!(assignment.parent, process::id());
        }
    }

    #[test]
    fn everything_else_is_the_runners() {
        let parse = |words: &[&str]| Assignment::parse(words.iter().map(OsString::from));
        assert!(parse(&[]).is_none());
        assert!(parse(&["--exact", "test"]).is_none());
        assert!(parse(&[MARK, "king"]).unwrap().is_err());
    }
}
