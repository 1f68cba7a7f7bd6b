//! The three roles of a test binary, and how it tells which one it is in.
//!
//! Started by Cargo or a person, the binary is the *runner*. The runner starts the same binary again as the *supervisor* of
//! one case, and the supervisor starts it once more as the *test* itself. The role stands in the first argument.

use crate::case::CaseDir;
use crate::{runner, supervisor, test_process};
use std::env;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// The first argument of a binary that is not the runner.
const MARK: &str = "__clarity_chaos";

/// What a process that was not started by a person is for.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Supervisor,
    Test,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Test => "test",
        }
    }
}

/// Where the tests come from: [`main!`](crate::main) fills it in at the user's place.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The package of the tests.
    pub package: &'static str,
    /// The test target.
    pub target: &'static str,
    /// The folder that Cargo gives a test target for its files, where it does.
    pub target_tmpdir: Option<&'static str>,
}

/// Not public API: what [`main!`](crate::main) expands to.
#[must_use]
pub fn main(origin: Origin) -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != MARK) {
        return runner::main(&origin);
    }
    let role = arguments.next().unwrap_or_default();
    let case = CaseDir::at(PathBuf::from(arguments.next().unwrap_or_default()));
    let parent = arguments.next().unwrap_or_default();
    let ended = if role == Role::Supervisor.word() {
        supervisor::run(&case)
    } else {
        die_with(&parent).and_then(|()| test_process::run(&case))
    };
    ended.unwrap_or_else(|error| {
        eprintln!(
            "clarity-chaos: the {} of {} failed: {error}",
            role.display(),
            case.root().display()
        );
        ExitCode::FAILURE
    })
}

/// The command that starts this binary again in another role.
pub(crate) fn command(role: Role, case: &CaseDir) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command
        .arg(MARK)
        .arg(role.word())
        .arg(case.root())
        .arg(std::process::id().to_string());
    Ok(command)
}

/// A supervisor that is killed outright cannot end its test; the kernel does it then.
#[cfg(target_os = "linux")]
fn die_with(parent: &std::ffi::OsStr) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the kernel knew what to do then.
    let alive = getppid().is_some_and(|pid| parent.eq_ignore_ascii_case(pid.to_string()));
    if alive {
        Ok(())
    } else {
        Err(io::Error::other("the supervisor is gone"))
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_parent: &std::ffi::OsStr) -> io::Result<()> {
    Ok(())
}
