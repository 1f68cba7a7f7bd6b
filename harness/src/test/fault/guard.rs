//! The guard of a fault in effect.

use super::PlannedFault;
use clarity_chaos_record::UndoOutcome;
use serde_json::Value;
use std::fmt;

/// The guard of a fault in effect. Dropping the guard undoes the fault. After a call of
/// [`until_end`](Self::until_end), the harness undoes the fault at the end of the test.
///
/// `P` is the type of the fault's plan. To keep the guards of different faults in one collection,
/// convert each guard with [`untyped`](Self::untyped).
///
/// Faults on the same target are undone in the reverse order of their injection. If a guard is
/// dropped before the guards of later faults on the same target, its fault stays in effect. It is
/// then undone after these later faults. If a guard is leaked with [`std::mem::forget`], the
/// harness undoes its fault at the end of the test.
#[must_use = "the fault is undone as soon as this guard is dropped: bind it, or call `.until_end()`"]
pub struct FaultGuard<P = Value> {
    plan: P,
    hold: Hold,
}

/// Undoes the fault on drop, unless `release` is `None`.
struct Hold {
    fault: PlannedFault,
    /// The closure that undoes the fault. `None` after the fault has been undone. Also `None` after
    /// [`FaultGuard::until_end`].
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

    /// The fault's plan: the drawn values, and the values that the test has set.
    #[must_use]
    pub fn plan(&self) -> &P {
        &self.plan
    }

    /// The fault's row in the fault plan of the record. Paths in the test's directory are relative
    /// to this directory.
    #[must_use]
    pub fn planned(&self) -> &PlannedFault {
        &self.hold.fault
    }

    /// Converts the guard's plan to JSON, in the same form as in the record.
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

    /// Keeps the fault in effect until the test ends. The harness then undoes all remaining faults,
    /// in the reverse order of their injection.
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
