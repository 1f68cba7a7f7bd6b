//! The fixture of a run: its set-up and its tear-down, in two processes outside of the sandbox.
//!
//! One process calls the functions of the target. The other process supervises it, and runs no code
//! of the target. The supervisor is a *subreaper*: the processes that the set-up starts become its
//! children at the latest when they lose their parents. After the tear-down, it kills the processes
//! that are left.
//!
//! The standard input of each of the two processes is a pipe from its parent. If the pipe closes,
//! the tear-down runs. So the tear-down runs if the runner dies, and if its supervisor dies. If the
//! process of the set-up dies, too, the next run kills the processes of the set-up.

mod process;
pub(crate) mod protocol;
#[cfg(target_os = "linux")]
mod recorded_processes;
pub(crate) mod remains;
#[cfg(target_os = "linux")]
mod supervision;

use crate::registration::origin::Origin;
use crate::supervisor::role::FixtureConfig;
use std::io;
use std::process::ExitCode;

/// Runs this process in its role: supervises the set-up, or runs it.
///
/// # Errors
///
/// When the process of the set-up cannot be started or supervised.
pub(super) fn run(config: &FixtureConfig, origin: &Origin) -> io::Result<ExitCode> {
    match config.is_supervised {
        true => process::run(config, origin),
        false => supervise(config),
    }
}

#[cfg(target_os = "linux")]
use supervision::supervise;

#[cfg(not(target_os = "linux"))]
fn supervise(_config: &FixtureConfig) -> io::Result<ExitCode> {
    Err(io::ErrorKind::Unsupported.into())
}
