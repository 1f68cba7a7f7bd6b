//! The test as a fork of its supervisor.
//!
//! The one place where the harness needs `unsafe`.
#![expect(unsafe_code, reason = "fork, and the environment of what was forked")]

use crate::case::CaseDir;
use crate::test_process;
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;

/// Forks a process that runs the test of this case, and gives its number.
pub(super) fn test(case: &CaseDir, output: File) -> io::Result<Pid> {
    let supervisor = getpid();
    // SAFETY: the supervisor has one thread (the caller has counted), so no lock is held by a thread that the child lacks.
    let forked = unsafe { libc::fork() };
    match forked {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // The child must never return into the supervisor's loop.
            let ended = catch_unwind(AssertUnwindSafe(|| become_test(case, &output, supervisor)));
            let code = match ended {
                Ok(Ok(code)) => code,
                Ok(Err(error)) => {
                    eprintln!("clarity-chaos: {error}");
                    1
                }
                Err(_panic) => 1,
            };
            // And not `_exit`: coverage counters are written by a handler that this one calls.
            process::exit(code)
        }
        child => Pid::from_raw(child).ok_or_else(|| io::Error::other("fork gave no number")),
    }
}

fn become_test(case: &CaseDir, output: &File, supervisor: Pid) -> io::Result<i32> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(supervisor) {
        return Err(io::Error::other("the supervisor of this test is gone"));
    }
    setsid()?;
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(output)?;
    dup2_stderr(output)?;
    // SAFETY: this process has one thread still, so nobody reads the environment meanwhile.
    unsafe { std::env::set_var("TMPDIR", case.tmp()) };
    test_process::run(case)
}
