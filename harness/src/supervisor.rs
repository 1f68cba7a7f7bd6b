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

use crate::case::{self, CaseDir};
use crate::duration::deadline;
use crate::isolation::Isolation;
use crate::order::{ANSWER, Order};
use crate::role::Role;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Whether every process that a test starts is found and ended on this system, and why not otherwise.
pub(crate) const CONTAINMENT: Result<(), &str> = platform::CONTAINMENT;

/// Runs cases, one after the other, for as long as the runner orders them; `run` is the folder of the run.
///
/// # Errors
///
/// When a test's process cannot be started, or the runner not be understood.
pub(crate) fn serve(isolation: Isolation, run: &Path) -> io::Result<ExitCode> {
    let mut supervisor = platform::Supervisor::new(isolation)?;
    let ended = obey(&mut supervisor);
    if !matches!(ended, Ok(Relation::Parted)) {
        // Nobody will read the cases of this run, nobody else will clean up.
        remove_with_others(run);
    }
    ended.map(|_| ExitCode::SUCCESS)
}

/// Removes a folder while other supervisors of the run may be removing it, too, or still ending tests that write there: each may find what it was
/// about to remove gone, or a folder not empty any more.
fn remove_with_others(run: &Path) {
    let deadline = deadline(Duration::from_secs(10));
    while case::remove(run).is_err() && run.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How things stand with the runner.
enum Relation {
    /// It has said farewell.
    Parted,
    /// It went away without a word.
    Lost,
}

fn obey(supervisor: &mut platform::Supervisor) -> io::Result<Relation> {
    while let Some(order) = supervisor.next_order()? {
        let Order::Run(case) = serde_json::from_str(&order)? else {
            return Ok(Relation::Parted);
        };
        let spec = case.read_spec()?;
        let Some(ending) = supervisor.supervise(&case, &spec)? else {
            break;
        };
        let answer = format!("{ANSWER}{}\n", serde_json::to_string(&ending)?);
        let mut stdout = io::stdout().lock();
        // Begins a line of its own, whatever a library may have printed.
        stdout.write_all(b"\n")?;
        stdout.write_all(answer.as_bytes())?;
        stdout.flush()?;
    }
    Ok(Relation::Lost)
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
        .env("TMPDIR", case.tmp()) // and on Windows:
        .env("TMP", case.tmp())
        .env("TEMP", case.tmp())
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
