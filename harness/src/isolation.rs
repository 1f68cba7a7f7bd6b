//! Running one case in a process of its own, as the runner sees it.
//!
//! One way is built: `exec`, which starts the test binary again for each case. It works on every system.

use crate::case::{CaseDir, CaseSpec};
use crate::ending::Ending;
use crate::record::{Enforcement, Sandbox};
use crate::role::Role;
use crate::supervisor::CONTAINMENT;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The name of the isolation, for headers and records.
pub(crate) const NAME: &str = "exec";

/// What this isolation enforces.
pub(crate) fn sandbox() -> Sandbox {
    let none = || Enforcement::not("the exec isolation does not restrict it");
    Sandbox {
        files: none(),
        metadata: none(),
        network: none(),
        processes: none(),
        containment: match CONTAINMENT {
            Ok(()) => Enforcement::enforced("subreaper"),
            Err(reason) => Enforcement::not(reason),
        },
    }
}

/// Runs a case below the folder `run`, and returns when nothing of it is left but its folder.
///
/// With `show_output`, what the test prints is copied to our own standard output while it runs.
///
/// # Errors
///
/// When the case could not be started, or its supervisor did not say how it ended.
pub(crate) fn run(run: &Path, spec: &CaseSpec, show_output: bool) -> io::Result<(CaseDir, Ending)> {
    let case = CaseDir::create(run, spec)?;
    let mut supervisor = Role::Supervisor.command(&case)?;
    supervisor.stdin(Stdio::piped());
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;
        supervisor.process_group(0); // Ctrl-C ends the runner; the supervisor notices that and cleans up
    }
    let mut supervisor = supervisor.spawn()?;
    // Held open until the supervisor is done: its end would mean that the runner is gone. `wait` would close it.
    let lifeline = supervisor.stdin.take();
    let status = if show_output {
        copying(&case.output(), || supervisor.wait())
    } else {
        supervisor.wait()
    }?;
    drop(lifeline);

    let ending = fs::read(case.ending()).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("the supervisor ended without a word ({status})"),
        )
    })?;
    Ok((case, serde_json::from_slice(&ending)?))
}

/// How often what a test prints is copied on.
const INTERVAL: Duration = Duration::from_millis(20);

/// Copies what is appended to the file at `path` to standard output for as long as `work` goes on.
fn copying<T>(path: &Path, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (done, wait) = mpsc::channel::<()>();
        scope.spawn(move || {
            let mut file = None;
            loop {
                let last = wait.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout);
                if file.is_none() {
                    file = File::open(path).ok();
                }
                if let Some(file) = &mut file {
                    let mut bytes = Vec::new();
                    // Showing is a service: a closed terminal must not fail the test.
                    let _ = file.read_to_end(&mut bytes);
                    let _ = io::stdout().write_all(&bytes);
                }
                if last {
                    break;
                }
            }
        });
        let result = work();
        drop(done);
        result
    })
}
