//! The log of a test's faults. It numbers, draws, records and undoes the faults.

use super::guard::FaultGuard;
use super::injection::Injection;
use super::{Fault, FaultError, InjectError, PlannedFault, Undo};
use crate::data::fault_selection::FaultSelection;
use crate::test::random::rng;
use crate::test::termination::TerminationHandler;
use crate::test::timeline::Timeline;
use clarity_chaos_record::{EventKind, Seed, UndoOutcome};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The log of one test's faults. Clones share one log.
#[derive(Clone)]
pub(crate) struct FaultLog {
    shared: Arc<SharedLog>,
}

struct SharedLog {
    seed: Seed,
    /// The faults that take effect. `None` means all faults.
    restriction: Option<FaultSelection>,
    /// The test's directory. Paths in the plan are relative to this directory, so the plans of two
    /// runs are equal.
    dir: PathBuf,
    /// The parent directory of all faults' scratch directories. It is next to the test's directory.
    scratch: PathBuf,
    timeline: Timeline,
    /// The handler of `SIGTERM`. The first fault installs it.
    request: TerminationHandler,
    faults: Mutex<InjectedFaults>,
}

#[derive(Default)]
struct InjectedFaults {
    planned: usize,
    /// The number of injections so far, for each pair of a kind and a target.
    drawn: HashMap<String, usize>,
    /// The faults in effect, in the order of their injection.
    open: Vec<OpenFault>,
    left_behind: Vec<String>,
    /// Whether the test has ended. Threads of the test may still run, and must not inject faults.
    is_closed: bool,
}

/// A fault in effect.
struct OpenFault {
    fault: PlannedFault,
    undo: Undo,
    injection: Injection,
    /// Whether the guard has released the fault. A released fault stays in effect until the later
    /// faults on its target are undone.
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
            shared: Arc::new(SharedLog {
                seed,
                restriction,
                dir,
                scratch,
                timeline,
                request,
                faults: Mutex::default(),
            }),
        }
    }

    pub(crate) fn inject<F: Fault>(&self, fault: &F) -> Result<FaultGuard<F::Plan>, InjectError> {
        let shared = &*self.shared;
        let failed = |reason| InjectError {
            kind: F::KIND,
            target: fault.target(),
            reason,
        };
        let target = self.relative(fault.target());
        self.listen();
        // The lock is held until this function returns: faults are numbered, drawn and applied one
        // at a time.
        let mut faults = self.faults();
        if faults.is_closed {
            return Err(failed(FaultError::other("the test has ended")));
        }
        // The draws of a fault depend only on its kind, target and occurrence. So concurrent
        // injections do not change each other's draws.
        let stream = format!("{} {target}", F::KIND);
        let times = faults.drawn.entry(stream.clone()).or_default();
        *times += 1;
        let occurrence = *times;
        let mut rng = rng(shared.seed.child("fault", &format!("{stream} {times}")));
        let mut plan = fault.draw(&mut rng).map_err(failed)?;

        let json = |plan: &F::Plan| {
            serde_json::to_value(plan).map_err(|error| failed(FaultError::other(error)))
        };
        faults.planned += 1;
        let drawn = json(&plan)?;
        let sentence = F::describe(&plan, &target);
        let mut planned = PlannedFault::new(
            faults.planned,
            F::KIND,
            target,
            self.relative_strings(drawn.clone()),
        );
        planned.description = sentence;
        planned.occurrence = occurrence;
        if let Some(restriction) = &shared.restriction {
            let Some(kept) = restriction.find(&planned) else {
                let fault = planned.clone();
                shared.timeline.record(EventKind::FaultOmitted { fault });
                // An omitted fault is not in effect, so its guard undoes nothing.
                return Ok(FaultGuard::new(plan, planned, || UndoOutcome::Restored));
            };
            let simplified = serde_json::from_value(kept.simplified(drawn));
            plan = simplified.map_err(|error| failed(FaultError::other(error)))?;
            planned.plan = self.relative_strings(json(&plan)?);
            planned.description = F::describe(&plan, &planned.target);
        }
        // The fault is recorded before it takes effect: on the timeline, a cause must precede its
        // effects.
        shared.timeline.record(EventKind::FaultInjected {
            fault: planned.clone(),
        });
        let injection = Injection::new(
            shared.scratch.join(planned.id.to_string()),
            format!("{} {}", F::KIND, fault.target()),
        );
        match fault.apply(&plan, &injection) {
            Ok(undo) => {
                faults.open.push(OpenFault {
                    fault: planned.clone(),
                    undo,
                    injection,
                    released: false,
                });
                let (this, id) = (self.clone(), planned.id);
                Ok(FaultGuard::new(plan, planned, move || this.release(id)))
            }
            Err(reason) => {
                let result = match injection.undo() {
                    UndoOutcome::Failed { error } => {
                        faults.left_behind.push(format!("{planned} ({error})"));
                        UndoOutcome::Failed { error }
                    }
                    _ => UndoOutcome::NeverApplied {
                        error: reason.to_string(),
                    },
                };
                shared.timeline.record(EventKind::FaultUndone {
                    fault_id: planned.id,
                    outcome: result,
                });
                Err(failed(reason))
            }
        }
    }

    /// Installs the `SIGTERM` handler, which undoes all faults.
    fn listen(&self) {
        let this = self.clone();
        let undo = move || {
            this.shared.timeline.record(EventKind::TerminationRequested);
            this.end();
        };
        if let Err(error) = self.shared.request.install(undo) {
            // The fault is injected even if the handler is not installed. If a `SIGTERM` then ends
            // the test, the report names the fault as still in effect.
            let text = format!("a request to end will not undo faults: {error}");
            self.shared.timeline.record(EventKind::Note { text });
        }
    }

    /// Undoes all faults that are still in effect, the latest first. Returns one line for each
    /// fault that could not be undone, now or earlier in the test.
    pub(crate) fn end(&self) -> Vec<String> {
        let mut faults = self.faults();
        faults.is_closed = true;
        while let Some(last) = faults.open.pop() {
            self.undo(&mut faults, last);
        }
        std::mem::take(&mut faults.left_behind)
    }

    /// Undoes a fault. Defers the undo if later faults on the same target are still in effect.
    fn release(&self, id: usize) -> UndoOutcome {
        let mut faults = self.faults();
        let Some(place) = faults.open.iter().position(|open| open.fault.id == id) else {
            // The test has ended: all its faults have been undone.
            return UndoOutcome::Restored;
        };
        faults.open[place].released = true;
        let target = faults.open[place].fault.target.clone();
        let mut result = UndoOutcome::Deferred;
        // The latest fault on the target is undone first. A fault whose guard still exists stops
        // the loop.
        while let Some(top) = faults
            .open
            .iter()
            .rposition(|open| open.fault.target == target)
            .filter(|top| faults.open[*top].released)
        {
            let open = faults.open.remove(top);
            let undone = self.undo(&mut faults, open);
            if top == place {
                result = undone;
            }
        }
        result
    }

    fn undo(&self, faults: &mut InjectedFaults, open: OpenFault) -> UndoOutcome {
        let result = open.undo.run(&open.injection);
        if let UndoOutcome::Failed { error } = &result {
            faults.left_behind.push(format!("{} ({error})", open.fault));
        }
        self.shared.timeline.record(EventKind::FaultUndone {
            fault_id: open.fault.id,
            outcome: result.clone(),
        });
        result
    }

    /// Makes a path in the test's directory relative to the test's directory. Makes a path
    /// elsewhere in the case's directory relative to the case's directory. Returns all other texts
    /// unchanged.
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

    fn faults(&self) -> MutexGuard<'_, InjectedFaults> {
        self.shared
            .faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FaultLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultLog").finish_non_exhaustive()
    }
}
