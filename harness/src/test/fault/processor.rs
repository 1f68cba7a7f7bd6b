//! A fault that keeps the processors busy, as other programs on the machine do.

use super::{Fault, FaultError, Injection, Undo, UndoOutcome};
use crate::test::process_scope::ProcessScope;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Starts threads that compute until the fault is undone. The test's own threads compete with these
/// threads for the processors.
///
/// The threads run in the test's process. Their processor time counts against the test's `cpu`
/// limit. The test cannot [explore](crate::Context::explore) while the fault is in effect.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    threads: usize,
}

/// The plan of a [`Processor`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProcessorPlan {
    /// The number of computing threads, 1 to 1024.
    pub threads: usize,
}

impl Processor {
    /// Starts one computing thread.
    #[must_use]
    pub fn new() -> Self {
        Self { threads: 1 }
    }

    /// Starts this number of threads, 1 to 1024. With one thread per processor of the machine, the
    /// test's own threads get about half of their usual processor time.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads }
    }
}

impl Default for Processor {
    fn default() -> Self {
        Self::new()
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

    fn apply(&self, plan: &ProcessorPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        if !ProcessScope::is_dedicated() {
            return Err(FaultError::Unavailable(
                "the threads would slow other tests down: this test has no process of its own (--isolation thread)"
                    .to_owned(),
            ));
        }
        let mut busy = Busy::default();
        for _ in 0..plan.threads {
            // If a thread cannot be started, the drop of `busy` ends the threads that were started
            // before.
            busy.start().map_err(FaultError::other)?;
        }
        Ok(Undo::new(move || {
            drop(busy);
            Ok(UndoOutcome::Restored)
        }))
    }
}

/// The maximum number of threads: more than a test needs, but too few to overload the machine.
const MOST: usize = 1024;

/// Threads that compute until this `Busy` is dropped.
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
            // `join` returns an error only after a panic, and these threads cannot panic.
            let _ = thread.join();
        }
    }
}
