//! A fault that kills a process.

use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::process::{ChildProcess, Process};
use clarity_chaos_record::UndoOutcome;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Kills a process with `SIGKILL`, which no process can handle. The kill happens at once, or after
/// a drawn time.
#[derive(Clone, Debug)]
pub struct Kill {
    name: String,
    process: Arc<ChildProcess>,
    within: Duration,
}

/// The plan of a [`Kill`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KillPlan {
    /// The real time from the injection to the kill, in microseconds.
    pub after_us: u64,
}

impl Kill {
    /// Kills this process at once.
    pub fn new(process: &Process) -> Self {
        Self {
            name: process.name().to_owned(),
            process: process.child(),
            within: Duration::ZERO,
        }
    }

    /// Kills the process after a drawn time, 0 to `time`. Each number of microseconds has the same
    /// probability. The process survives if the fault is undone before the kill.
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
        if !self.process.is_running()? {
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

    fn apply(&self, plan: &KillPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        let killed = || UndoOutcome::Superseded {
            found: "a process that has ended, and cannot be brought back".to_owned(),
        };
        if plan.after_us == 0 {
            self.process.kill()?;
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
            })?;
        Ok(Undo::new(move || {
            let _ = spare.send(());
            match killer.join() {
                Ok(Ok(true)) => Ok(killed()),
                Ok(Ok(false)) => Ok(UndoOutcome::Restored),
                Ok(Err(error)) => Err(error.into()),
                Err(_panic) => Err(FaultError::unfit(
                    "an end of the thread that kills",
                    "a panic",
                )),
            }
        }))
    }
}
