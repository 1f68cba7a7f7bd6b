//! Where every process of a test binary begins.

use crate::registration::origin::Origin;
use crate::runner;
use crate::supervisor::entry::run_role;
use crate::supervisor::role::RoleMessage;
use std::env;
use std::process::ExitCode;

#[cfg(unix)]
use crate::os::signals::expect_children;

#[cfg(not(unix))]
fn expect_children() {}

/// Not public API: what [`main!`](crate::main) expands to.
#[must_use]
pub fn main(origin: Origin) -> ExitCode {
    match RoleMessage::parse(env::args_os().skip(1)) {
        None => {
            expect_children();
            runner::main(&origin)
        }
        Some(message) => message.and_then(run_role).unwrap_or_else(|error| {
            eprintln!("clarity-chaos: {error}");
            ExitCode::FAILURE
        }),
    }
}
