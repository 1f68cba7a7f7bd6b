//! The hold of a test on a fault that is in effect.

use super::PlannedFault;
use clarity_chaos_record::UndoOutcome;
use serde_json::Value;
use std::fmt;

/// A fault that is in effect. Dropping the guard undoes it; [`until_end`](Self::until_end) leaves
/// that to the harness.
///
/// `P` is the plan of the fault; [`untyped`](Self::untyped) guards of different faults fit into one
/// collection.
///
/// Faults on the same target are undone in the reverse order of their injection, whichever guard is
/// dropped first: a fault with others on top of it waits for them. The fault of a forgotten guard
/// is undone at the end of the test.
#[must_use = "the fault is undone as soon as this guard is dropped: bind it, or call `.until_end()`"]
pub struct FaultGuard<P = Value> {
    plan: P,
    hold: Hold,
}

/// Undoes the fault when it is dropped.
struct Hold {
    fault: PlannedFault,
    /// Absent once the guard has let go.
    release: Option<Release>,
}

type Release = Box<dyn FnOnce() -> UndoOutcome + Send + Sync>;

impl<P> FaultGuard<P> {
    /// The guard of a fault that `release` undoes.
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

    /// The values that were drawn.
    #[must_use]
    pub fn plan(&self) -> &P {
        &self.plan
    }

    /// The row of the plan, as the record has it: paths in the test's directory are relative.
    #[must_use]
    pub fn planned(&self) -> &PlannedFault {
        &self.hold.fault
    }

    /// The same guard, whose plan is the JSON of the record.
    pub fn untyped(self) -> FaultGuard {
        FaultGuard {
            plan: self.hold.fault.plan.clone(),
            hold: self.hold,
        }
    }

    /// Undoes the fault now, and returns how that went. A failure also fails the test.
    pub fn undo(mut self) -> UndoOutcome {
        self.hold.release()
    }

    /// Keeps the fault in effect until the test ends; then all are undone, the latest first.
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
