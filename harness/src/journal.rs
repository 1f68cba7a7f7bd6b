//! The journal records the steps that undo a fault, before the fault damages anything.
//!
//! A killed test undoes nothing. Damage in the test's own directory is removed with the directory.
//! Before a fault damages anything elsewhere, the steps that undo the damage are written to a file.
//! The runner runs these steps after the test's process has ended. Sandboxed tests can damage only
//! their own directories, so the runner ignores their journals.
//!
//! The journal survives the end of the test's process, but not a crash of the machine. Nothing is
//! flushed to the disk, because a crash of the machine also ends the runner, the journal's only
//! reader.

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
