//! The journal: the steps that undo a fault, written down before the fault damages anything.
//!
//! A test that is killed undoes nothing. Damage in its own directory goes with that directory. For
//! damage elsewhere, the steps are in a file of the case before the damage is done, and the runner
//! runs them after the test's process has ended.
//!
//! The journal survives the test's process and not the machine: nothing is flushed to the disk,
//! since the runner that reads it would be gone as well.

mod condition;
mod error;
mod execution;
mod handler;
mod recovery;
mod step;
mod store;
mod writer;

pub use condition::{FileIdentity, UndoCondition};
pub use error::UndoError;
pub use handler::{UndoHandler, call_undo_handler};
pub(crate) use recovery::{Recovery, recover};
pub use step::{SavedContent, UndoAction, UndoStep};
pub(crate) use writer::UndoJournal;
