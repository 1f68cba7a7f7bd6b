//! The process between the runner and the tests of one slot: starts a test, waits with a limit, ends it, sweeps what it left.
//!
//! A test's process can be ended, but what it started can have slipped away from it: daemons have another parent and another
//! process group. The supervisor is the *subreaper* of its test (Linux): whatever loses its parent below it becomes its child. So all
//! of a test's processes can be found by looking for the supervisor's own children, again and again until there are none. A supervisor
//! has one test at a time, so nothing else can be among them.
//!
//! In the sandbox the supervisor is process 1 of a PID namespace besides, and ends with everything in it, whatever happens.
//!
//! The supervisor never has more than one thread and never runs the code under test: a fork of it is as good as a fresh process.
//!
//! Its standard input is a pipe from the runner. When that closes, the run is over, or the runner is gone; then all of this is, too.

pub(crate) mod entry;
#[cfg(target_os = "linux")]
mod fork;
pub(crate) mod guest;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod orders;
#[cfg(not(target_os = "linux"))]
mod portable;
pub(crate) mod protocol;
pub(crate) mod role;
pub(crate) mod run_dir;
#[cfg(target_os = "linux")]
mod threads;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(not(target_os = "linux"))]
use portable as platform;

use crate::data::case::Case;
use crate::data::duration::deadline;
use crate::sandbox::{self, Confined, confine};
use crate::supervisor::protocol::{Answer, MARK, Order};
use crate::supervisor::role::{Post, Role};
use clarity_chaos_record::Sandbox;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// What an enclosed supervisor exits with when it has lost its runner.
const RUNNER_LOST: u8 = 3;

/// Runs cases, one after the other, for as long as the runner orders them.
///
/// # Errors
///
/// When a test's process cannot be started, or the runner not be understood.
pub(crate) fn serve(post: &Post) -> io::Result<ExitCode> {
    crate::os::descriptors::close_inherited();
    let confined = match confine(&post.confinement, post.slot.root()) {
        Ok(confined) => confined,
        Err(error) => {
            answer(&Answer::Refused(error.to_string()))?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let code = match confined {
        Confined::Outside(code) => u8::try_from(code).unwrap_or(u8::MAX),
        Confined::Inside(inside) => {
            let mut supervisor = platform::Supervisor::new(post, inside.private)?;
            let obeyed =
                answer(&Answer::Ready(inside.sandbox)).and_then(|()| obey(&mut supervisor));
            let parted = match obeyed {
                // Another supervisor of a runner that is gone may have removed what this one was working with.
                Err(_) if supervisor.is_abandoned() => false,
                result => result?,
            };
            let code = if parted { 0 } else { RUNNER_LOST };
            if inside.has_outer_process {
                // The run's folder cannot be removed from in here.
                return Ok(ExitCode::from(code));
            }
            code
        }
    };
    if code == RUNNER_LOST {
        // Nobody will read the cases of this run, nobody else will clean up.
        remove_with_others(&post.run);
    }
    Ok(ExitCode::from(code))
}

/// What is enforced around tests that are not confined.
pub(crate) fn unconfined() -> Sandbox {
    sandbox::unconfined()
}

/// Removes a folder while other supervisors of the run may be removing it, too, or still ending tests that write there: each may find what it was
/// about to remove gone, or a folder not empty any more.
fn remove_with_others(run: &Path) {
    let deadline = deadline(Duration::from_secs(10));
    while run.exists() && Instant::now() < deadline {
        if run_dir::remove(run).is_err() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Does as it is told until the end; tells whether the runner has said farewell, and did not go away without a word.
fn obey(supervisor: &mut platform::Supervisor) -> io::Result<bool> {
    while let Some(order) = supervisor.next_order()? {
        let case = match order {
            Order::Run(case) => case,
            // It has ended by itself just before.
            Order::Interrupt => continue,
            Order::Farewell => return Ok(true),
        };
        let Some(ending) = supervisor.supervise(&case)? else {
            break;
        };
        let retires = ending.retires;
        answer(&Answer::Ended(ending))?;
        if retires {
            return Ok(true);
        }
    }
    Ok(false)
}

fn answer(answer: &Answer) -> io::Result<()> {
    // Begins a line of its own, whatever a library may have printed.
    let line = format!("\n{MARK}{}\n", serde_json::to_string(answer)?);
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

/// The file that takes what the test prints.
fn output(case: &Case) -> io::Result<File> {
    File::options().append(true).open(case.output())
}

/// Starts the test binary again as the test of this case.
fn execute(case: &Case) -> io::Result<Child> {
    let output = output(case)?;
    let mut command = Role::Test(Box::new(case.clone())).command()?;
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
