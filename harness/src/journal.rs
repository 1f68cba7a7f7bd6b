//! The journal records the steps that undo a fault, before the fault damages anything.
//!
//! A killed test undoes nothing. Damage in the test's own directory is removed with the directory.
//! For damage elsewhere, a file of the case holds the steps before the damage is done. The runner
//! runs the steps after the test's process has ended. The runner ignores the journals of sandboxed
//! tests, which cannot damage other files.
//!
//! The journal survives the end of the test's process, but not a crash of the machine. Nothing is
//! flushed to the disk: such a crash would also end the runner, the journal's only reader.

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
