//! The process between the runner and a test: starts it, waits with a limit, ends it, sweeps what it left.
//!
//! A test's process can be ended, but what it started can have slipped away from it: daemons have another parent and another
//! process group. The supervisor is the *subreaper* of the test (Linux): whatever loses its parent below it becomes its child. So all
//! of a test's processes can be found by looking for the supervisor's own children, again and again until there are none; nothing else can be among them.
//! A process per test does this, so that orphans of two tests cannot be mistaken for each other.
//!
//! The supervisor holds a pipe from the runner. When that closes, the runner is gone, and so is all of this.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(not(target_os = "linux"))]
use portable as platform;

use crate::case::CaseDir;
use crate::case::CaseSpec;
use crate::entry;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

/// Whether every process that a test starts is found and ended on this system, and why not otherwise.
pub(crate) const CONTAINMENT: Result<(), &str> = platform::CONTAINMENT;

/// How a test's process ended, and what it left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ending {
    pub(crate) exit: Exit,
    /// Whether the limit was reached; `exit` is then what ending the process gave.
    pub(crate) timed_out: bool,
    /// From start to end, in real time.
    pub(crate) duration: Duration,
    /// The command lines of processes that were still alive after the test's own process had ended; they are no more.
    pub(crate) left_behind: Vec<String>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

impl From<ExitStatus> for Exit {
    #[cfg(unix)]
    fn from(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }

    #[cfg(not(unix))]
    fn from(status: ExitStatus) -> Self {
        Self::Code(status.code().unwrap_or(-1))
    }
}

/// Runs the case in this folder in a process of its own, and leaves its [`Ending`] there.
///
/// # Errors
///
/// When the process cannot be started, or the ending not be written.
pub(crate) fn run(case: &CaseDir) -> io::Result<ExitCode> {
    let spec = case.read_spec()?;
    match platform::supervise(&mut command(case)?, &spec)? {
        Some(ending) => {
            std::fs::write(case.ending(), serde_json::to_vec(&ending)?)?;
        }
        None => {
            // The runner is gone: nobody will read the case, nobody else will clean it up.
            std::fs::remove_dir_all(case.root())?;
            if let Some(run) = case.root().parent() {
                let _ = std::fs::remove_dir(run); // the last case of the run takes its folder along
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn command(case: &CaseDir) -> io::Result<Command> {
    let output = File::options()
        .append(true)
        .create_new(true)
        .open(case.output())?;
    let mut command = entry::command(entry::Role::Test, case)?;
    command
        .env("TMPDIR", case.tmp())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    Ok(command)
}

/// What the platform's supervisor is asked for: `None` when the runner went away first.
type Supervise = fn(&mut Command, &CaseSpec) -> io::Result<Option<Ending>>;
const _: Supervise = platform::supervise;
