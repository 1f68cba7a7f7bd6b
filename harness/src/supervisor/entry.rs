//! Where the processes of a test binary begin that are not the runner.

#[cfg(unix)]
use crate::os::signals::restore_termination_signals;
use crate::supervisor::role::{Assignment, Role};
use crate::test::test_process;
use std::io;
use std::process::ExitCode;

#[cfg(not(unix))]
fn restore_termination_signals() {}

/// Plays the role that this process was started for.
///
/// # Errors
///
/// When a supervisor cannot serve, or a case not begin.
pub(crate) fn fulfil(assignment: Assignment) -> io::Result<ExitCode> {
    restore_termination_signals();
    match assignment.role {
        Role::Supervisor(post) => super::serve(&post),
        Role::Test(case) => {
            die_with(assignment.parent)?;
            let code = test_process::run(&case, test_process::test_of(&case)?, None)?;
            Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
        }
    }
}

/// A supervisor that is killed outright cannot end its test; the kernel does it then.
#[cfg(target_os = "linux")]
fn die_with(parent: u32) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the kernel knew what to do then.
    let now = getppid().map(|pid| pid.as_raw_nonzero().get());
    if now.and_then(|pid| u32::try_from(pid).ok()) == Some(parent) {
        Ok(())
    } else {
        Err(io::Error::other("the supervisor of this test is gone"))
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_parent: u32) -> io::Result<()> {
    Ok(())
}
