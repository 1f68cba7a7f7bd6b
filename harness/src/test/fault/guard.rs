//! The guard of a fault in effect.

use super::PlannedFault;
use clarity_chaos_record::UndoOutcome;
use serde_json::Value;
use std::fmt;

/// The guard of a fault in effect. Dropping the guard undoes the fault. With
/// [`until_end`](Self::until_end), the harness undoes the fault at the end of the test.
///
/// `P` is the plan of the fault. [`untyped`](Self::untyped) guards of different faults fit into one
/// collection.
///
/// Faults on the same target are undone in the reverse order of their injection. A fault whose
/// guard is dropped too early waits until the later faults on its target are undone. The fault of a
/// forgotten guard is undone at the end of the test.
#[must_use = "the fault is undone as soon as this guard is dropped: bind it, or call `.until_end()`"]
pub struct FaultGuard<P = Value> {
    plan: P,
    hold: Hold,
}

/// Undoes the fault when the value is dropped.
struct Hold {
    fault: PlannedFault,
    /// Undoes the fault. `None` after the fault is undone or left to the harness.
    release: Option<Release>,
}

type Release = Box<dyn FnOnce() -> UndoOutcome + Send + Sync>;

impl<P> FaultGuard<P> {
    /// Returns the guard of a fault. `release` undoes the fault.
    pub(super) fn new(
        plan: P,
        fault: PlannedFault,
        release: impl FnOnce() -> UndoOutcome + Send + Sync + 'static,
    ) -> Self {
        Self {
            plan,
            hold: Hold {
                fault,
                release: Some(Box::new(release)),
            },
        }
    }

    /// The fault's plan: the drawn and the given values.
    #[must_use]
    pub fn plan(&self) -> &P {
        &self.plan
    }

    /// The fault's row in the record's fault plan. Paths in the test's directory are relative.
    #[must_use]
    pub fn planned(&self) -> &PlannedFault {
        &self.hold.fault
    }

    /// Converts the guard's plan to JSON, as it is in the record.
    pub fn untyped(self) -> FaultGuard {
        FaultGuard {
            plan: self.hold.fault.plan.clone(),
            hold: self.hold,
        }
    }

    /// Undoes the fault now, and returns the outcome. If undoing fails, the test fails, too.
    pub fn undo(mut self) -> UndoOutcome {
        self.hold.release()
    }

    /// Keeps the fault in effect until the test ends. Then all remaining faults are undone, the
    /// latest first.
    pub fn until_end(mut self) {
        self.hold.release = None;
    }
}

impl Hold {
    fn release(&mut self) -> UndoOutcome {
        match self.release.take() {
            Some(release) => release(),
            None => UndoOutcome::Restored,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.release();
    }
}

impl<P> fmt::Debug for FaultGuard<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultGuard").field(&self.hold.fault).finish()
    }
}
