//! The way back from a fault.

use super::FaultError;
use super::injection::Injection;
use clarity_chaos_record::UndoOutcome;
use std::fmt;

/// How a fault is undone while the test's process lives.
pub struct Undo(Option<Closure>);

type Closure = Box<dyn FnOnce() -> Result<UndoOutcome, FaultError> + Send>;

impl Undo {
    /// Runs the steps that were [recorded](Injection::record), the latest first.
    #[must_use]
    pub fn steps() -> Self {
        Self(None)
    }

    /// Calls `closure`, and then runs the steps that were recorded. Of both results the worse one
    /// counts.
    ///
    /// When the test is killed, the closure is lost, and the runner runs the steps alone.
    pub fn new(closure: impl FnOnce() -> Result<UndoOutcome, FaultError> + Send + 'static) -> Self {
        Self(Some(Box::new(closure)))
    }

    pub(super) fn run(self, injection: &Injection) -> UndoOutcome {
        let Some(closure) = self.0 else {
            return injection.undo();
        };
        let first = closure().unwrap_or_else(|error| UndoOutcome::Failed {
            error: error.to_string(),
        });
        if injection.is_empty() {
            return first;
        }
        let second = injection.undo();
        match severity(&first) >= severity(&second) {
            true => first,
            false => second,
        }
    }
}

/// How far the outcome is from a fault that was undone.
fn severity(outcome: &UndoOutcome) -> usize {
    match outcome {
        UndoOutcome::Restored => 0,
        UndoOutcome::NeverApplied { .. } => 1,
        UndoOutcome::Deferred => 2,
        UndoOutcome::Superseded { .. } => 3,
        // Failed, and an outcome of a later release.
        _ => 4,
    }
}

impl fmt::Debug for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undo").finish_non_exhaustive()
    }
}
