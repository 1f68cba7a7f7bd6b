//! The entry point of supervisors and of tests. These are all processes of a test binary except the
//! runner.

use crate::os::directory_lock::lock_shared;
#[cfg(unix)]
use crate::os::signals::restore_termination_signals;
use crate::registration::origin::Origin;
use crate::supervisor::role::{Role, RoleMessage};
use crate::test::test_process;
use std::io;
use std::process::ExitCode;

#[cfg(not(unix))]
fn restore_termination_signals() {}

/// Runs this process in the role that `message` assigns.
///
/// # Errors
///
/// When the supervisor fails, or when the test of the case cannot be started.
pub(crate) fn run_role(message: RoleMessage, origin: &Origin) -> io::Result<ExitCode> {
    restore_termination_signals();
    match message.role {
        Role::Supervisor(config) => super::serve(&config),
        Role::Fixture(config) => super::fixture::run(&config, origin),
        Role::Test(case) => {
            #[cfg(target_os = "linux")]
            crate::sandbox::name_socket::inherit(message.name_socket)?;
            die_with(message.parent)?;
            // As long as this process lives, no other process undoes its faults.
            let _lock = match case.spec.sandboxed {
                true => None,
                false => Some(lock_shared(case.worker_dir().root())?),
            };
            let code = test_process::run(&case, test_process::test_of(&case)?, None)?;
            Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
        }
    }
}

/// Makes the kernel kill this process when `parent`, its supervisor, dies. A killed supervisor
/// cannot end its test itself.
#[cfg(target_os = "linux")]
fn die_with(parent: u32) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // If the parent died before the system call above, the kernel sends no signal.
    let now = getppid().map(|pid| pid.as_raw_nonzero().get());
    if now.and_then(|pid| u32::try_from(pid).ok()) == Some(parent) {
        Ok(())
    } else {
        Err(io::Error::other(
            "the test cannot start: its supervisor has died",
        ))
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_parent: u32) -> io::Result<()> {
    Ok(())
}
