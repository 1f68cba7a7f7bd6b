//! The process between the runner and the tests of one slot: starts a test, waits with a limit, ends it, sweeps what it left.
//!
//! A test's process can be ended, but what it started can have slipped away from it: daemons have another parent and another
//! process group. The supervisor is the *subreaper* of its test (Linux): whatever loses its parent below it becomes its child. So all
//! of a test's processes can be found by looking for the supervisor's own children, again and again until there are none. A supervisor
//! has one test at a time, so nothing else can be among them.
//!
//! The supervisor never has more than one thread and never runs the code under test: a fork of it is as good as a fresh process.
//!
//! Its standard input is a pipe from the runner. When that closes, the run is over, or the runner is gone; then all of this is, too.

#[cfg(target_os = "linux")]
mod fork;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(not(target_os = "linux"))]
use portable as platform;

use crate::case::CaseDir;
use crate::isolation::Isolation;
use crate::role::Role;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::process::{Child, ExitCode, Stdio};

/// Whether every process that a test starts is found and ended on this system, and why not otherwise.
pub(crate) const CONTAINMENT: Result<(), &str> = platform::CONTAINMENT;

/// Runs cases, one after the other, for as long as the runner orders them: the folder of a case in a line of
/// standard input, its [`Ending`](crate::ending::Ending) in a line of standard output.
///
/// # Errors
///
/// When a test's process cannot be started, or the runner not be understood.
pub(crate) fn serve(isolation: Isolation) -> io::Result<ExitCode> {
    let mut supervisor = platform::Supervisor::new(isolation)?;
    while let Some(order) = supervisor.next_order()? {
        let case: CaseDir = serde_json::from_str(&order)?;
        let spec = case.read_spec()?;
        match supervisor.supervise(&case, &spec)? {
            Some(ending) => {
                let mut answer = serde_json::to_vec(&ending)?;
                answer.push(b'\n');
                let mut stdout = io::stdout().lock();
                stdout.write_all(&answer)?;
                stdout.flush()?;
            }
            None => {
                // The runner is gone: nobody will read the case, nobody else will clean it up.
                fs::remove_dir_all(case.root())?;
                if let Some(run) = case.root().parent() {
                    let _ = fs::remove_dir(run); // the last case of the run takes its folder along
                }
                break;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The file that takes what the test prints.
fn output(case: &CaseDir) -> io::Result<File> {
    File::options()
        .append(true)
        .create_new(true)
        .open(case.output())
}

/// Starts the test binary again as the test of this case.
fn execute(case: &CaseDir) -> io::Result<Child> {
    let output = output(case)?;
    let mut command = Role::Test(case.clone()).command()?;
    command
        .env("TMPDIR", case.tmp())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;
        command.process_group(0); // the polite request to end reaches the test's helpers, too
    }
    command.spawn()
}
