//! The supervisor: the process between the runner and the tests of one worker. The supervisor
//! starts a test, and waits for its end. If the timeout passes first, the supervisor ends the test.
//! Then the supervisor kills the processes that the test leaves behind.
//!
//! A process can escape from the process tree of its test: a daemon has another parent and another
//! process group. On Linux the supervisor is a *subreaper*. When a process below a subreaper loses
//! its parent, the process becomes a child of the subreaper. The supervisor kills its children
//! until none is left, and so kills all processes of a test. Because the supervisor runs one test
//! at a time, no child belongs to another test.
//!
//! In the sandbox the supervisor is also process 1 of a PID namespace. When process 1 ends or is
//! killed, the kernel kills every other process of the namespace.
//!
//! On Linux the supervisor never has more than one thread, and it never runs the code under test. A
//! fork of the supervisor is therefore as good as a fresh process.
//!
//! The supervisor's standard input is a pipe from the runner. The pipe closes when the run is over
//! or the runner has died. If the runner has died, the supervisor ends its test as at a timeout,
//! undoes the faults that are still in effect, and removes the files.

mod abandoned_run;
pub(crate) mod entry;
pub(crate) mod fixture;
#[cfg(target_os = "linux")]
mod hung_threads;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod message_reader;
#[cfg(not(target_os = "linux"))]
mod portable;
pub(crate) mod protocol;
pub(crate) mod role;
pub(crate) mod run_dir;
mod run_files;
pub(crate) mod runner_thread;
#[cfg(target_os = "linux")]
mod zygote;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(not(target_os = "linux"))]
use portable as platform;

use crate::data::case::Case;
use crate::data::confinement::Confinement;
use crate::journal::UndoneBy;
use crate::os::directory_lock::lock_shared;
use crate::sandbox::tool_settings::tool_settings;
use crate::sandbox::{self, Confined, confine};
use crate::supervisor::protocol::{MESSAGE_PREFIX, RunnerMessage, SupervisorMessage};
use crate::supervisor::role::{Role, SupervisorConfig};
use clarity_chaos_record::Sandbox;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write as _};
use std::process::{Child, ExitCode, Stdio};

/// The exit code of a supervisor whose runner has died.
const RUNNER_LOST: u8 = 3;

/// Runs the cases that the runner sends, one after the other. Returns when the runner sends a
/// shutdown or dies. Also returns when processes of a test cannot be killed.
///
/// # Errors
///
/// When a case cannot be started, supervised or reported. Also when a message of the runner cannot
/// be parsed.
pub(crate) fn serve(config: &SupervisorConfig) -> io::Result<ExitCode> {
    crate::os::descriptors::close_inherited();
    // As long as this process or its test lives, no other process undoes their faults. A sandboxed
    // process must not have this descriptor: it leads out of the mount namespace.
    let lock = match config.confinement {
        Confinement::Open => Some(lock_shared(config.worker_dir.root())?),
        Confinement::Closed { .. } => None,
    };
    let slot = config.worker_dir.root();
    let confined = match confine(&config.confinement, slot, &config.services) {
        Ok(confined) => confined,
        Err(error) => {
            send(&SupervisorMessage::Refused(error.to_string()))?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let code = match confined {
        Confined::Outside(code) => u8::try_from(code).unwrap_or(u8::MAX),
        Confined::Inside(inside) => {
            let mut supervisor = platform::Supervisor::new(config, inside.private)?;
            let served = send(&SupervisorMessage::Ready(inside.sandbox, inside.services))
                .and_then(|()| run_cases(&mut supervisor));
            if let (Ok(false), Confinement::Open) = (&served, &config.confinement) {
                // The test has ended. This process still has its lock, so a later run waits.
                let by = UndoneBy::Supervisor;
                abandoned_run::undo(&config.run, &config.worker_dir, by);
            }
            let shut_down = match served {
                // If the runner has died, this error is ignored. Another supervisor of the run may
                // then have removed files that this supervisor uses.
                Err(_) if supervisor.is_abandoned() => false,
                result => result?,
            };
            let code = if shut_down { 0 } else { RUNNER_LOST };
            if inside.has_outer_process {
                // The run's directory cannot be removed from inside the sandbox. The outer process
                // removes the directory.
                return Ok(ExitCode::from(code));
            }
            code
        }
    };
    drop(lock);
    if code == RUNNER_LOST {
        // The dead runner cannot undo faults, and does not need the files of its run any more.
        let recovery = abandoned_run::end_worker(&config.run, &config.worker_dir);
        for fault in recovery.kept {
            // Standard error can be closed.
            let _ = writeln!(
                io::stderr(),
                "clarity-chaos: the runner has died, and a fault is still in effect: {fault}"
            );
        }
    }
    Ok(ExitCode::from(code))
}

/// Returns the sandbox that a record shows for unconfined tests.
pub(crate) fn unconfined() -> Sandbox {
    sandbox::unconfined()
}

/// Returns the likely causes of the sandbox's missing parts, each with a remedy.
pub(crate) fn remedies(sandbox: &Sandbox) -> Vec<String> {
    sandbox::remedy::remedies(sandbox)
}

/// Handles the runner's messages. Returns `false` if the runner died before it sent a shutdown.
fn run_cases(supervisor: &mut platform::Supervisor) -> io::Result<bool> {
    while let Some(message) = supervisor.next_message()? {
        let case = match message {
            RunnerMessage::Run(case) => case,
            // The runner sent the message while the case was ending by itself.
            RunnerMessage::Interrupt | RunnerMessage::Suspend | RunnerMessage::Resume => continue,
            RunnerMessage::Shutdown => return Ok(true),
        };
        let Some(report) = supervisor.supervise(&case)? else {
            break;
        };
        let retires = report.retires;
        send(&SupervisorMessage::CaseEnded(report))?;
        if retires {
            return Ok(true);
        }
    }
    Ok(false)
}

fn send(message: &impl Serialize) -> io::Result<()> {
    // The message starts on a new line: a library may have printed an incomplete line before.
    let line = format!("\n{MESSAGE_PREFIX}{}\n", serde_json::to_string(message)?);
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

/// Opens the file to which the test's output is appended.
fn output(case: &Case) -> io::Result<File> {
    let path = case.output();
    let file = File::options().append(true).open(&path);
    file.map_err(|error| {
        let text = format!(
            "cannot open `{}` for the test's output: {error}",
            path.display()
        );
        io::Error::new(error.kind(), text)
    })
}

/// Starts the test binary again, as the process of this case's test. The process inherits
/// `name_socket`.
fn execute(case: &Case, name_socket: Result<i32, String>) -> io::Result<Child> {
    let output = output(case)?;
    let mut command = Role::Test(Box::new(case.clone())).command(name_socket)?;
    command
        .env("TMPDIR", case.tmp())
        // Windows uses these two names instead of `TMPDIR`.
        .env("TMP", case.tmp())
        .env("TEMP", case.tmp())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    if case.spec.sandboxed {
        command.envs(tool_settings());
    }
    for (name, value) in home_variables(case)? {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;
        // The test leads a process group of its own. A SIGTERM for the group also reaches the
        // processes that the test starts.
        command.process_group(0);
    }
    command.spawn().map_err(|error| {
        let program = command.get_program().display();
        let text = format!("cannot start `{program}` for the test: {error}");
        io::Error::new(error.kind(), text)
    })
}

/// Returns the changes to the environment of a test that has a home directory of its own. Returns
/// none for other tests.
#[cfg(target_os = "linux")]
fn home_variables(case: &Case) -> io::Result<Vec<sandbox::home::Variable>> {
    if !case.spec.own_home {
        return Ok(Vec::new());
    }
    let git_settings = case.worker_dir().git_settings();
    if !git_settings.exists() {
        sandbox::home::write_git_settings(&git_settings)?;
    }
    Ok(sandbox::home::variables(&case.home(), &git_settings))
}

#[cfg(not(target_os = "linux"))]
fn home_variables(_case: &Case) -> io::Result<Vec<(String, Option<String>)>> {
    Ok(Vec::new())
}
