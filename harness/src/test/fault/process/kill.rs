//! A process that is gone without a word.

use crate::test::fault::{Fault, FaultError, Undo};
use crate::test::process::{Process, Running};
use clarity_chaos_record::UndoOutcome;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Kills a process: by `SIGKILL`, which it cannot see coming, at once or at a moment that is drawn.
#[derive(Clone, Debug)]
pub struct Kill {
    name: String,
    process: Arc<Running>,
    within: Duration,
}

/// When it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillPlan {
    /// So many microseconds of real time after the injection.
    pub after_us: u64,
}

impl Kill {
    /// Kills this process at once.
    pub fn of(process: &Process) -> Self {
        Self {
            name: process.name().to_owned(),
            process: process.running(),
            within: Duration::ZERO,
        }
    }

    /// Kills it within this time, at any moment with the same probability. When the fault is undone before, it is spared.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self {
            within: time,
            ..self
        }
    }
}

impl Fault for Kill {
    type Plan = KillPlan;
    const KIND: &'static str = "kill";

    fn describe(plan: &KillPlan, target: &str) -> String {
        match plan.after_us {
            0 => format!("{target} killed"),
            after => format!("{target} killed after {after} µs"),
        }
    }

    fn target(&self) -> String {
        format!("process {}", self.name)
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<KillPlan, FaultError> {
        if !self.process.is_running().map_err(other)? {
            return Err(FaultError::unfit(
                "a process that runs",
                "one that has ended",
            ));
        }
        let most = u64::try_from(self.within.as_micros())
            .map_err(|_| FaultError::unfit("a time that ends", format!("{:?}", self.within)))?;
        Ok(KillPlan {
            after_us: rng.random_range(0..=most),
        })
    }

    fn apply(&self, plan: &KillPlan, _scratch: &Path) -> Result<Undo, FaultError> {
        let killed = || UndoOutcome::Superseded {
            found: "a process that has ended, which nothing brings back".to_owned(),
        };
        if plan.after_us == 0 {
            self.process.kill().map_err(other)?;
            return Ok(Undo::new(move || Ok(killed())));
        }
        let (spare, spared) = channel::<()>();
        let (process, after) = (
            Arc::clone(&self.process),
            Duration::from_micros(plan.after_us),
        );
        let killer = thread::Builder::new()
            .name("kill".to_owned())
            .spawn(move || match spared.recv_timeout(after) {
                Err(RecvTimeoutError::Timeout) => process.kill(),
                _ => Ok(false),
            })
            .map_err(other)?;
        Ok(Undo::new(move || {
            let _ = spare.send(());
            match killer.join() {
                Ok(Ok(true)) => Ok(killed()),
                Ok(Ok(false)) => Ok(UndoOutcome::Restored),
                Ok(Err(error)) => Err(other(error)),
                Err(_panic) => Err(FaultError::unfit(
                    "an end of the thread that kills",
                    "a panic",
                )),
            }
        }))
    }
}

pub(super) fn other(error: std::io::Error) -> FaultError {
    FaultError::Other(Box::new(error))
}
