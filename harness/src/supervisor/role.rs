//! The roles of a test binary.
//!
//! A process that Cargo or a user starts is the *runner*. The runner starts the same binary again
//! as *supervisors*: one for each test that runs in parallel. For each *test*, a supervisor forks
//! itself or starts the binary again. If the binary has a set-up for the run, the runner starts two
//! more processes: one that runs the set-up, and its supervisor. A binary that is started again
//! gets its role from its first two arguments.

use crate::data::case::{Case, WorkerDir};
use crate::data::confinement::Confinement;
use crate::data::service::RunServices;
use clarity_chaos_record::Isolation;
use serde::{Deserialize, Serialize};
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{self, Command};
use std::time::Duration;

/// The first argument of a supervisor or test. The second argument is a [`RoleMessage`].
pub(crate) const ROLE_ARGUMENT: &str = "__clarity_chaos";

/// The role of a process that is not the runner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Supervises tests, one after the other.
    Supervisor(SupervisorConfig),
    /// Runs the test of this case.
    Test(Box<Case>),
    /// Runs or supervises the set-up and the tear-down of the run.
    Fixture(FixtureConfig),
}

/// The configuration of the run's set-up and tear-down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FixtureConfig {
    /// The directory of the set-up.
    pub(crate) dir: WorkerDir,
    /// The directory of the run, which contains `dir`.
    pub(crate) run: PathBuf,
    /// The time limit of the set-up, and of the tear-down.
    pub(crate) limit: Duration,
    /// Whether the process runs the set-up. Otherwise, the process supervises such a process.
    pub(crate) is_supervised: bool,
}

/// The configuration of a supervisor, the same for all of its cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SupervisorConfig {
    pub(crate) isolation: Isolation,
    pub(crate) confinement: Confinement,
    /// The processor to which the supervisor is bound; `None` for no binding.
    pub(crate) processor: Option<usize>,
    /// The directory of the supervisor's cases.
    pub(crate) worker_dir: WorkerDir,
    /// The directory of the run, which contains `worker_dir`.
    pub(crate) run: PathBuf,
    /// The services that the supervisor's tests can reach.
    pub(crate) services: RunServices,
}

/// The second argument of a supervisor or test.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoleMessage {
    pub(crate) role: Role,
    /// The ID of the process that starts the supervisor or test.
    pub(crate) parent: u32,
    /// The inherited socket of the test's own name server. Without a socket, contains the reason,
    /// or nothing outside of the sandbox.
    pub(crate) name_socket: Result<i32, String>,
}

impl Role {
    /// Returns the command that starts this binary again, in this role. The process inherits
    /// `name_socket`.
    pub(crate) fn command(self, name_socket: Result<i32, String>) -> io::Result<Command> {
        let message = RoleMessage {
            role: self,
            parent: process::id(),
            name_socket,
        };
        let mut command = Command::new(env::current_exe()?);
        command.args([ROLE_ARGUMENT, &serde_json::to_string(&message)?]);
        Ok(command)
    }
}

impl RoleMessage {
    /// Parses the arguments of this process. `arguments` starts after the program's name. Returns
    /// `None` if the process is the runner.
    ///
    /// # Errors
    ///
    /// When the first argument announces a role, but the second argument is not a valid message.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Option<io::Result<Self>> {
        let mut arguments = arguments.into_iter();
        if arguments.next()? != ROLE_ARGUMENT {
            return None;
        }
        let text = arguments.next().unwrap_or_default();
        Some(
            serde_json::from_slice(text.as_encoded_bytes()).map_err(|error| {
                io::Error::other(format!(
                    "the argument `{ROLE_ARGUMENT}` is reserved for the harness; \
                         its value cannot be parsed: {error}"
                ))
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::case::CaseSpec;
    use crate::data::service::VisibleServices;
    use clarity_chaos_record::Seed;

    #[test]
    fn role_message_parse_reads_the_command_back() {
        let dir = tempfile::tempdir().unwrap();
        let worker_dir = WorkerDir::create(dir.path(), "7", true).unwrap();
        let spec = CaseSpec {
            name: "m::t".to_owned(),
            path: "c::m::t".to_owned(),
            seed: Seed::new(42),
            timeout: Duration::from_millis(1),
            grace: Duration::MAX,
            log: "a \"word\"".to_owned(),
            fault_selection: None,
            late_starts: false,
            kept_states: Some("/states".into()),
            lasting_threads: Vec::new(),
            sandboxed: true,
            own_home: true,
            services: VisibleServices::default(),
        };
        let case = Case::new(&worker_dir, spec);
        for role in [
            Role::Supervisor(SupervisorConfig {
                isolation: Isolation::Exec,
                confinement: Confinement::tightest(),
                processor: Some(1),
                worker_dir: worker_dir.clone(),
                run: "/run".into(),
                services: RunServices::default(),
            }),
            Role::Fixture(FixtureConfig {
                dir: worker_dir,
                run: "/run".into(),
                limit: Duration::MAX,
                is_supervised: true,
            }),
            Role::Test(Box::new(case)),
        ] {
            let command = role.clone().command(Ok(7)).unwrap();
            let arguments = command.get_args().map(ToOwned::to_owned);
            let message = RoleMessage::parse(arguments).unwrap().unwrap();
            assert_eq!(message.role, role);
            assert_eq!(message.parent, process::id());
            assert_eq!(message.name_socket, Ok(7));
        }
    }

    #[test]
    fn role_message_parse_other_arguments_mean_the_runner() {
        let parse = |words: &[&str]| RoleMessage::parse(words.iter().map(OsString::from));
        assert!(parse(&[]).is_none());
        assert!(parse(&["--exact", "test"]).is_none());
        assert!(parse(&[ROLE_ARGUMENT, "king"]).unwrap().is_err());
    }
}
