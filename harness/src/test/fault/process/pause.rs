//! A process that stands still: a machine that swaps, a long garbage collection, a debugger.

use super::kill::other;
use crate::test::fault::{Fault, FaultError, Undo};
use crate::test::process::{Process, Running};
use clarity_chaos_record::UndoOutcome;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Stops a process (`SIGSTOP`) until the fault is undone (`SIGCONT`). Its connections stay open, and nobody answers. On Windows it cannot be done.
#[derive(Clone, Debug)]
pub struct Pause {
    name: String,
    process: Arc<Running>,
}

/// Nothing is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausePlan {}

impl Pause {
    /// Stops this process.
    pub fn of(process: &Process) -> Self {
        Self {
            name: process.name().to_owned(),
            process: process.running(),
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
        match self.process.is_running().map_err(other)? {
            true => Ok(PausePlan {}),
            false => Err(FaultError::unfit(
                "a process that runs",
                "one that has ended",
            )),
        }
    }

    fn apply(&self, _plan: &PausePlan, _scratch: &Path) -> Result<Undo, FaultError> {
        stop(&self.process).map_err(other)?;
        let process = Arc::clone(&self.process);
        Ok(Undo::new(move || {
            if !process.is_running().map_err(other)? {
                return Ok(UndoOutcome::Superseded {
                    found: "a process that has ended".to_owned(),
                });
            }
            go_on(&process).map_err(other)?;
            Ok(UndoOutcome::Restored)
        }))
    }
}

#[cfg(unix)]
fn stop(process: &Running) -> io::Result<()> {
    process.signal(libc::SIGSTOP)
}

#[cfg(unix)]
fn go_on(process: &Running) -> io::Result<()> {
    process.signal(libc::SIGCONT)
}

#[cfg(not(unix))]
fn stop(_process: &Running) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "a process can be stopped on Unix alone",
    ))
}

#[cfg(not(unix))]
fn go_on(_process: &Running) -> io::Result<()> {
    Ok(())
}
