//! The faults of one test: numbered, drawn, told on the timeline, and undone.

use super::{Fault, FaultError, InjectError, PlannedFault, Undo, UndoOutcome};
use crate::data::fault_selection::FaultSelection;
use crate::test::random::rng;
use crate::test::termination::TerminationHandler;
use crate::test::timeline::Timeline;
use clarity_chaos_record::{EventKind, Seed};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A fault that is in effect. Dropping the guard undoes it; [`until_end`](Self::until_end) leaves that to the harness.
///
/// Faults on the same target are undone in the reverse order of their injection, whichever guard is dropped first: one that has
/// others on top of it waits for them. A guard that is forgotten is undone at the end of the test.
#[must_use = "the fault is undone as soon as this guard is dropped: bind it, or call `.until_end()`"]
pub struct FaultGuard {
    fault: PlannedFault,
    log: FaultLog,
}

impl FaultGuard {
    /// The row of the plan: what was drawn.
    #[must_use]
    pub fn planned(&self) -> &PlannedFault {
        &self.fault
    }

    /// Undoes the fault now, and tells how that went. A failure also fails the test.
    pub fn undo(self) -> UndoOutcome {
        let this = ManuallyDrop::new(self);
        this.log.release(this.fault.id)
    }

    /// Keeps the fault in effect until the test ends, and undoes it then, the latest first.
    pub fn until_end(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for FaultGuard {
    fn drop(&mut self) {
        self.log.release(self.fault.id);
    }
}

impl fmt::Debug for FaultGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultGuard").field(&self.fault).finish()
    }
}

/// EventKind a test's process knows of its faults.
#[derive(Clone)]
pub(crate) struct FaultLog {
    shared: Arc<Shared>,
}

struct Shared {
    seed: Seed,
    /// The faults that take effect, if not all do.
    restriction: Option<FaultSelection>,
    /// The test's directory: paths in the plan are told relative to it, so that plans of two runs are equal.
    dir: PathBuf,
    /// A folder beside it, for what undoing will need.
    scratch: PathBuf,
    timeline: Timeline,
    /// Listens from the first fault on.
    request: TerminationHandler,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    planned: usize,
    /// How often each kind was injected into each target.
    drawn: HashMap<String, usize>,
    /// EventKind is in effect, in the order of injection.
    open: Vec<Open>,
    left_behind: Vec<String>,
}

/// A fault in effect.
struct Open {
    fault: PlannedFault,
    undo: Undo,
    /// Whether its guard is gone, and it only waits for faults on top of it.
    released: bool,
}

impl FaultLog {
    pub(crate) fn new(
        seed: Seed,
        restriction: Option<FaultSelection>,
        dir: PathBuf,
        scratch: PathBuf,
        timeline: Timeline,
        request: TerminationHandler,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                seed,
                restriction,
                dir,
                scratch,
                timeline,
                request,
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
        let target = self.relative(fault.target());
        let this = self.clone();
        let undo = move || {
            this.shared.timeline.record(EventKind::TerminationRequested);
            this.end();
        };
        if let Err(error) = shared.request.install(undo) {
            // The fault is injected all the same; if the test is made to end, the report names it as still in effect.
            let text = format!("a request to end will not undo faults: {error}");
            shared.timeline.record(EventKind::Note { text });
        }
        // Held throughout: faults are numbered, drawn and applied one after the other.
        let mut state = self.state();
        // EventKind is drawn hangs on kind, target and how often, so tasks that inject at the same time do not change each other's draws.
        let stream = format!("{} {target}", F::KIND);
        let times = state.drawn.entry(stream.clone()).or_default();
        *times += 1;
        let occurrence = *times;
        let mut rng = rng(shared.seed.child("fault", &format!("{stream} {times}")));
        let mut plan = fault.draw(&mut rng).map_err(failed)?;

        let told = |plan: &F::Plan| {
            serde_json::to_value(plan)
                .expect("a plan is plain data: numbers, strings and named fields")
        };
        state.planned += 1;
        let drawn = self.relative_strings(told(&plan));
        let sentence = F::describe(&plan, &target);
        let mut planned = PlannedFault::new(state.planned, F::KIND, target, drawn);
        planned.description = sentence;
        planned.occurrence = occurrence;
        if let Some(restriction) = &shared.restriction {
            let Some(kept) = restriction.find(&planned) else {
                let fault = planned.clone();
                shared.timeline.record(EventKind::FaultOmitted { fault });
                // The guard of a fault that is not in effect has nothing to undo.
                return Ok(FaultGuard {
                    fault: planned,
                    log: self.clone(),
                });
            };
            let simplified = serde_json::from_value(kept.simplified(told(&plan)));
            plan = simplified.map_err(|error| failed(FaultError::Other(Box::new(error))))?;
            planned.plan = self.relative_strings(told(&plan));
            planned.description = F::describe(&plan, &planned.target);
        }
        // Told before it takes effect, so that no effect can stand on the timeline before its cause.
        shared.timeline.record(EventKind::FaultInjected {
            fault: planned.clone(),
        });
        match fault.apply(&plan, &shared.scratch.join(planned.id.to_string())) {
            Ok(undo) => {
                state.open.push(Open {
                    fault: planned.clone(),
                    undo,
                    released: false,
                });
                Ok(FaultGuard {
                    fault: planned,
                    log: self.clone(),
                })
            }
            Err(reason) => {
                let error = reason.to_string();
                shared.timeline.record(EventKind::FaultUndone {
                    fault_id: planned.id,
                    outcome: UndoOutcome::NeverApplied { error },
                });
                Err(failed(reason))
            }
        }
    }

    /// Undoes everything that is still in effect, the latest first, and names all faults whose damage is still there.
    pub(crate) fn end(&self) -> Vec<String> {
        let mut state = self.state();
        while let Some(last) = state.open.pop() {
            self.take_back(&mut state, last);
        }
        std::mem::take(&mut state.left_behind)
    }

    /// Undoes a fault, or lets it wait for those on top of it.
    fn release(&self, id: usize) -> UndoOutcome {
        let mut state = self.state();
        let Some(place) = state.open.iter().position(|open| open.fault.id == id) else {
            // The test is over, and all of its faults were undone.
            return UndoOutcome::Restored;
        };
        state.open[place].released = true;
        let target = state.open[place].fault.target.clone();
        let mut result = UndoOutcome::Deferred;
        // From the top down, for as long as nobody holds on to what is there.
        while let Some(top) = state
            .open
            .iter()
            .rposition(|open| open.fault.target == target)
            .filter(|top| state.open[*top].released)
        {
            let open = state.open.remove(top);
            let undone = self.take_back(&mut state, open);
            if top == place {
                result = undone;
            }
        }
        result
    }

    fn take_back(&self, state: &mut State, open: Open) -> UndoOutcome {
        let result = open.undo.run();
        if let UndoOutcome::Failed { error } = &result {
            state.left_behind.push(format!("{} ({error})", open.fault));
        }
        self.shared.timeline.record(EventKind::FaultUndone {
            fault_id: open.fault.id,
            outcome: result.clone(),
        });
        result
    }

    /// A path below the test's directory, or beside it in the case's folder, is told from there on.
    fn relative(&self, text: String) -> String {
        let (path, dir) = (Path::new(&text), &self.shared.dir);
        let inside = path
            .strip_prefix(dir)
            .or_else(|_| path.strip_prefix(dir.parent().unwrap_or(dir)));
        match inside {
            Ok(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
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
