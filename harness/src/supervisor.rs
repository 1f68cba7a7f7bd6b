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

use crate::case::{CaseDir, CaseSpec};
use crate::ending::Ending;
use crate::role::Role;
use std::fs::File;
use std::io;
use std::process::{Command, ExitCode, Stdio};

/// Whether every process that a test starts is found and ended on this system, and why not otherwise.
pub(crate) const CONTAINMENT: Result<(), &str> = platform::CONTAINMENT;

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
    let mut command = Role::Test.command(case)?;
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
