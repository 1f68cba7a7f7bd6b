//! The way to undo a fault.

use super::FaultError;
use super::injection::Injection;
use clarity_chaos_record::UndoOutcome;
use std::fmt;

/// The way in which the test's process undoes a fault.
pub struct Undo(Option<Closure>);

type Closure = Box<dyn FnOnce() -> Result<UndoOutcome, FaultError> + Send>;

impl Undo {
    /// Runs the [recorded](Injection::record) steps, the latest first.
    #[must_use]
    pub fn steps() -> Self {
        Self(None)
    }

    /// Calls `closure`, and then runs the recorded steps. The worse of the two outcomes counts.
    ///
    /// If the test is killed, the closure does not run. For a test outside of the sandbox, the
    /// runner then runs only the recorded steps.
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

/// The severity of an outcome: 0 for a fault that was undone, more for worse outcomes.
fn severity(outcome: &UndoOutcome) -> usize {
    match outcome {
        UndoOutcome::Restored => 0,
        UndoOutcome::NeverApplied { .. } => 1,
        UndoOutcome::Deferred => 2,
        UndoOutcome::Superseded { .. } => 3,
        // `Failed`, and outcomes that a later release adds.
        _ => 4,
    }
}

impl fmt::Debug for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undo").finish_non_exhaustive()
    }
}
