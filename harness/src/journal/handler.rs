//! The handlers of custom undo steps, which the linker collects.

use super::error::UndoError;
use clarity_chaos_record::UndoOutcome;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error;
use std::panic;

/// The result of an undo handler.
type Handled = Result<UndoOutcome, Box<dyn Error + Send + Sync>>;

/// Not public API: a handler, as [`undo_handler!`](crate::undo_handler) registers it.
#[derive(Debug)]
pub struct UndoHandler {
    name: &'static str,
    run: fn(&Value) -> Handled,
}

inventory::collect!(UndoHandler);

impl UndoHandler {
    /// Not public API: called by the code that the macro generates.
    #[must_use]
    pub const fn new(name: &'static str, run: fn(&Value) -> Handled) -> Self {
        Self { name, run }
    }

    /// The handler of this binary with the name.
    pub(super) fn find(name: &str) -> Result<&'static Self, UndoError> {
        let mut found = inventory::iter::<Self>
            .into_iter()
            .filter(|handler| handler.name == name);
        let name = name.to_owned();
        match (found.next(), found.count()) {
            (Some(handler), 0) => Ok(handler),
            (Some(_), others) => Err(UndoError::AmbiguousHandler {
                name,
                count: others + 1,
            }),
            (None, _) => Err(UndoError::NoHandler { name }),
        }
    }

    pub(super) fn run(&self, payload: &Value) -> Result<UndoOutcome, UndoError> {
        // The runner calls handlers too, and outlives their panics.
        let handled = panic::catch_unwind(|| (self.run)(payload));
        let handled = handled.unwrap_or_else(|_panic| Err("it panicked".into()));
        handled.map_err(|error| UndoError::Handler {
            name: self.name.to_owned(),
            error,
        })
    }
}

/// Not public API: calls a handler with its payload.
///
/// # Errors
///
/// When the payload is not the handler's, or the handler fails.
pub fn call_undo_handler<P: DeserializeOwned>(
    payload: &Value,
    handler: impl FnOnce(P) -> Handled,
) -> Handled {
    handler(serde_json::from_value(payload.clone())?)
}

/// Registers a function that runs the custom undo steps of a name.
///
/// The function gets the payload of the step, of any type that serde can read, and returns how it
/// went. It runs in the test's process, or in the runner when that process was killed; so it must
/// rely on its payload alone, and must end. Where a step needs a handler that a binary lacks, the
/// fault is reported as still in effect, and the journal is kept.
///
/// ```
/// use clarity_chaos::fault::UndoOutcome;
///
/// /// Removes the network namespace that a fault has created.
/// fn remove_namespace(name: String) -> clarity_chaos::Result<UndoOutcome> {
///     # let _ = name;
///     // …
///     Ok(UndoOutcome::Restored)
/// }
///
/// clarity_chaos::undo_handler!("my_tests.remove_namespace", remove_namespace);
/// ```
///
/// A fault records such a step with [`UndoStep::custom`](crate::fault::UndoStep::custom). Names are
/// the binary's, so begin them with the name of the crate.
#[macro_export]
macro_rules! undo_handler {
    ($name:expr, $function:expr $(,)?) => {
        $crate::__private::inventory::submit! {
            $crate::__private::UndoHandler::new($name, |payload| {
                $crate::__private::call_undo_handler(payload, $function)
            })
        }
    };
}
