//! The entry point of every process of a test binary: runner, supervisor or test.

use crate::registration::origin::Origin;
use crate::runner;
use crate::runner::standard_streams::print_error;
use crate::supervisor::entry::run_role;
use crate::supervisor::role::RoleMessage;
use std::env;
use std::process::ExitCode;

#[cfg(unix)]
use crate::os::signals::restore_child_signal;

#[cfg(not(unix))]
fn restore_child_signal() {}

/// The `main` function that [`main!`](crate::main) calls; not public API.
#[must_use]
pub fn main(origin: Origin) -> ExitCode {
    match RoleMessage::parse(env::args_os().skip(1)) {
        None => {
            restore_child_signal();
            runner::main(&origin)
        }
        Some(message) => message
            .and_then(|message| run_role(message, &origin))
            .unwrap_or_else(|error| {
                print_error(format_args!("clarity-chaos: {error}"));
                ExitCode::FAILURE
            }),
    }
}
