//! Where every process of a test binary begins.

use crate::registration::origin::Origin;
use crate::supervisor::role::{Assignment, Role};
use crate::test::test_process;
use crate::{runner, supervisor};
use std::env;
use std::io;
use std::process::ExitCode;

#[cfg(unix)]
use crate::os::signals::{expect_children, expect_requests};

#[cfg(not(unix))]
fn expect_children() {}

#[cfg(not(unix))]
fn expect_requests() {}

/// Not public API: what [`main!`](crate::main) expands to.
#[must_use]
pub fn main(origin: Origin) -> ExitCode {
    match Assignment::parse(env::args_os().skip(1)) {
        None => {
            expect_children();
            runner::main(&origin)
        }
        Some(assignment) => assignment.and_then(fulfil).unwrap_or_else(|error| {
            eprintln!("clarity-chaos: {error}");
            ExitCode::FAILURE
        }),
    }
}

fn fulfil(assignment: Assignment) -> io::Result<ExitCode> {
    expect_requests();
    match assignment.role {
        Role::Supervisor(post) => supervisor::serve(&post),
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
