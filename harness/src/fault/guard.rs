//! The faults of one test: numbered, drawn, told on the timeline, and undone.

use super::{Fault, InjectError, PlannedFault, Undo, Undone};
use crate::seed::Seed;
use crate::timeline::{Timeline, What};
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A fault that is in effect. Dropping the guard undoes it; [`until_end`](Self::until_end) leaves that to the harness.
#[must_use = "the fault is undone as soon as this guard is dropped: bind it, or call `.until_end()`"]
pub struct FaultGuard {
    fault: PlannedFault,
    undo: Option<Undo>,
    log: FaultLog,
}

impl FaultGuard {
    /// The row of the plan: what was drawn.
    #[must_use]
    pub fn planned(&self) -> &PlannedFault {
        &self.fault
    }

    /// Undoes the fault now, and tells how that went. A failure also fails the test.
    pub fn undo(mut self) -> Undone {
        self.take_back()
            .expect("a guard still holds its undo until it is consumed or dropped")
    }

    /// Keeps the fault in effect until the test ends, and undoes it then, the latest first.
    pub fn until_end(self) {
        let log = self.log.clone();
        log.state().kept.push(self);
    }

    fn take_back(&mut self) -> Option<Undone> {
        let result = self.undo.take()?.run();
        self.log.undone(&self.fault, &result);
        Some(result)
    }
}

impl Drop for FaultGuard {
    fn drop(&mut self) {
        self.take_back();
    }
}

impl fmt::Debug for FaultGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultGuard").field(&self.fault).finish()
    }
}

/// What a test's process knows of its faults.
#[derive(Clone)]
pub(crate) struct FaultLog {
    shared: Arc<Shared>,
}

struct Shared {
    seed: Seed,
    /// The test's directory: paths in the plan are told relative to it, so that plans of two runs are equal.
    dir: PathBuf,
    /// A folder beside it, for what undoing will need.
    scratch: PathBuf,
    timeline: Timeline,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    planned: usize,
    kept: Vec<FaultGuard>,
    left_behind: Vec<String>,
}

impl FaultLog {
    pub(crate) fn new(seed: Seed, dir: PathBuf, scratch: PathBuf, timeline: Timeline) -> Self {
        Self {
            shared: Arc::new(Shared {
                seed,
                dir,
                scratch,
                timeline,
                state: Mutex::default(),
            }),
        }
    }

    pub(crate) fn inject<F: Fault>(&self, fault: &F) -> Result<FaultGuard, InjectError> {
        let shared = &*self.shared;
        let failed = |reason| InjectError {
            kind: F::KIND,
            target: fault.target(),
            reason,
        };
        // Held throughout: faults are numbered, drawn and applied one after the other.
        let mut state = self.state();
        let id = state.planned + 1;
        let mut rng = shared.seed.child("fault", &id.to_string()).rng();
        let plan = fault.draw(&mut rng).map_err(failed)?;
        state.planned = id;

        let told = serde_json::to_value(&plan)
            .expect("a plan is plain data: numbers, strings and named fields");
        let planned = PlannedFault {
            id,
            kind: F::KIND.to_owned(),
            target: self.relative(fault.target()),
            plan: self.relative_strings(told),
        };
        // Told before it takes effect, so that no effect can stand on the timeline before its cause.
        shared.timeline.record(What::FaultInjected {
            fault: planned.clone(),
        });
        match fault.apply(&plan, &shared.scratch) {
            Ok(undo) => Ok(FaultGuard {
                fault: planned,
                undo: Some(undo),
                log: self.clone(),
            }),
            Err(reason) => {
                let error = reason.to_string();
                shared.timeline.record(What::FaultUndone {
                    id,
                    result: Undone::NeverApplied { error },
                });
                Err(failed(reason))
            }
        }
    }

    /// Undoes what was left to the end of the test, the latest first, and names all faults whose damage is still there.
    pub(crate) fn end(&self) -> Vec<String> {
        loop {
            // Not held while undoing, which writes the state.
            let last = self.state().kept.pop();
            let Some(guard) = last else { break };
            drop(guard);
        }
        std::mem::take(&mut self.state().left_behind)
    }

    fn undone(&self, fault: &PlannedFault, result: &Undone) {
        if let Undone::Failed { error } = result {
            self.state().left_behind.push(format!("{fault} ({error})"));
        }
        self.shared.timeline.record(What::FaultUndone {
            id: fault.id,
            result: result.clone(),
        });
    }

    fn relative(&self, text: String) -> String {
        match Path::new(&text).strip_prefix(&self.shared.dir) {
            Ok(inside) => inside.display().to_string(),
            Err(_) => text,
        }
    }

    fn relative_strings(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.relative(text)),
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.relative_strings(item))
                .collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, field)| (name, self.relative_strings(field)))
                .collect(),
            plain => plain,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FaultLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultLog").finish_non_exhaustive()
    }
}
