//! No processor to be had: neighbours that compute.

use super::{Fault, FaultError, Undo, UndoOutcome};
use crate::test::process_scope::ProcessScope;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::hint;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Lets threads compute without end beside those of the test, so that all of them have to wait for their turn.
///
/// The threads are the test's: what they use counts against its `cpu` limit, and a test cannot [explore](crate::Context::explore) beside them.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    threads: usize,
}

/// Who computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessorPlan {
    /// How many threads.
    pub threads: usize,
}

impl Processor {
    /// So many threads, 1 to 1024. With as many as the machine has processors the test's own get about half of the time that they had alone.
    #[must_use]
    pub fn kept_busy_by(threads: usize) -> Self {
        Self { threads }
    }
}

impl Fault for Processor {
    type Plan = ProcessorPlan;
    const KIND: &'static str = "processor";

    fn describe(plan: &ProcessorPlan, _target: &str) -> String {
        format!("the processor kept busy by {} threads", plan.threads)
    }

    fn target(&self) -> String {
        "process".to_owned()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<ProcessorPlan, FaultError> {
        match self.threads {
            1..=MOST => Ok(ProcessorPlan {
                threads: self.threads,
            }),
            other => Err(FaultError::unfit(
                format!("1 to {MOST} threads"),
                format!("{other}"),
            )),
        }
    }

    fn apply(&self, plan: &ProcessorPlan, _scratch: &Path) -> Result<Undo, FaultError> {
        if !ProcessScope::is_dedicated() {
            return Err(FaultError::Unavailable(
                "the threads would slow other tests down: this one has no process of its own (--isolation thread)".to_owned(),
            ));
        }
        let mut busy = Busy::default();
        for _ in 0..plan.threads {
            // On failure those that were started end with `busy`.
            busy.start()
                .map_err(|error| FaultError::Other(Box::new(error)))?;
        }
        Ok(Undo::new(move || {
            drop(busy);
            Ok(UndoOutcome::Restored)
        }))
    }
}

/// More than anybody needs, fewer than hurt.
const MOST: usize = 1024;

/// Threads that compute until this is dropped.
#[derive(Default)]
struct Busy {
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Busy {
    fn start(&mut self) -> std::io::Result<()> {
        let ends = Arc::clone(&self.ends);
        let thread = thread::Builder::new().name("chaos-busy".to_owned());
        self.threads.push(thread.spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
        })?);
        Ok(())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // They cannot panic.
            let _ = thread.join();
        }
    }
}
