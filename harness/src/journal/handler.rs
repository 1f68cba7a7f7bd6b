//! The handlers of custom undo steps. The linker collects all handlers of a binary.

use super::error::UndoError;
use clarity_chaos_record::UndoOutcome;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error;
use std::panic;

/// The result of an undo handler.
type Handled = Result<UndoOutcome, Box<dyn Error + Send + Sync>>;

/// Not public API: a handler that [`undo_handler!`](crate::undo_handler) registers.
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

    /// Finds the only handler with this name in this binary.
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
        // The runner also calls handlers: a handler's panic must not end the runner.
        let handled = panic::catch_unwind(|| (self.run)(payload));
        let handled = handled.unwrap_or_else(|_panic| Err("it panicked".into()));
        handled.map_err(|error| UndoError::Handler {
            name: self.name.to_owned(),
            error,
        })
    }
}

/// Not public API: converts the payload to `P`, and passes the converted payload to the handler.
///
/// # Errors
///
/// When the payload cannot be converted to `P`, or the handler fails.
pub fn call_undo_handler<P: DeserializeOwned>(
    payload: &Value,
    handler: impl FnOnce(P) -> Handled,
) -> Handled {
    handler(serde_json::from_value(payload.clone())?)
}

/// Registers a function under a name. The function runs the custom undo steps with this name.
///
/// The function gets the step's payload and returns the outcome. The payload can have any type that
/// serde can deserialize. The function usually runs in the test's process. If a test outside of the
/// sandbox was killed, the function runs in the runner instead. So the function must rely on its
/// payload only, and must never hang. If a binary lacks the handler of a step, the step fails. The
/// fault is then reported as still in effect, and the journal is kept.
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
/// A fault records a custom step with [`UndoStep::custom`](crate::fault::UndoStep::custom). A name
/// must be unique in the binary, so begin it with the name of the crate.
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
