//! A fault that pauses a process, as swapping, a long garbage collection or a debugger does.

use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::process::{ChildProcess, Process};
use clarity_chaos_record::UndoOutcome;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;

/// Stops a process with `SIGSTOP`. Undoing the fault continues the process with `SIGCONT`. The
/// paused process keeps its connections open, but does not answer. On Unix only.
///
/// On Linux, injecting the fault waits until the process has stopped, for at most 1 s.
#[derive(Clone, Debug)]
pub struct Pause {
    name: String,
    process: Arc<ChildProcess>,
}

/// The plan of a [`Pause`]. Nothing is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PausePlan {}

impl Pause {
    /// Stops this process until the fault is undone.
    pub fn new(process: &Process) -> Self {
        Self {
            name: process.name().to_owned(),
            process: process.child(),
        }
    }
}

impl Fault for Pause {
    type Plan = PausePlan;
    const KIND: &'static str = "pause";

    fn describe(_plan: &PausePlan, target: &str) -> String {
        format!("{target} paused")
    }

    fn target(&self) -> String {
        format!("process {}", self.name)
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<PausePlan, FaultError> {
        match self.process.is_running()? {
            true => Ok(PausePlan {}),
            false => Err(FaultError::unfit(
                "a process that runs",
                "one that has ended",
            )),
        }
    }

    fn apply(&self, _plan: &PausePlan, _injection: &Injection) -> Result<Undo, FaultError> {
        stop(&self.process)?;
        let process = Arc::clone(&self.process);
        Ok(Undo::new(move || {
            if !process.is_running()? {
                return Ok(UndoOutcome::Superseded {
                    found: "a process that has ended".to_owned(),
                });
            }
            go_on(&process)?;
            Ok(UndoOutcome::Restored)
        }))
    }
}

#[cfg(unix)]
fn stop(process: &ChildProcess) -> io::Result<()> {
    process.signal(libc::SIGSTOP)?;
    // On a busy machine, the process can run for long after the signal was sent.
    #[cfg(target_os = "linux")]
    process.wait_until_stopped();
    Ok(())
}

#[cfg(unix)]
fn go_on(process: &ChildProcess) -> io::Result<()> {
    process.signal(libc::SIGCONT)
}

#[cfg(not(unix))]
fn stop(_process: &ChildProcess) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "a process can be stopped on Unix alone",
    ))
}

#[cfg(not(unix))]
fn go_on(_process: &ChildProcess) -> io::Result<()> {
    Ok(())
}
