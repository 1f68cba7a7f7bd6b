//! The journal records the steps that undo a fault, before the fault damages anything.
//!
//! A killed test undoes nothing. Damage in the test's own directory is removed with the directory.
//! Before a fault damages anything elsewhere, the steps that undo the damage are written to a file.
//! After the test's process has ended, another process runs these steps: the runner, the test's
//! supervisor if the runner has died, or a later run if the supervisor has died too. Sandboxed
//! tests can damage only their own directories, so their journals are ignored.
//!
//! The journal survives the end of all processes, but not a crash of the machine: nothing is
//! flushed to the disk.
//!
//! A process can be killed between any two system calls: of the fault, of the test that undoes the
//! fault, and of the process that runs the steps instead. At every instant the journal's file is
//! complete. Each step recognises damage that is incomplete, and a step that has run before. It
//! also recognises a file that somebody has changed since the damage, and leaves this file alone.

mod action;
mod condition;
mod damage;
mod error;
mod execution;
mod handler;
mod recovery;
mod step;
mod store;
mod undone_by;
mod writer;

pub use condition::{FileIdentity, UndoCondition};
pub use error::UndoError;
pub use handler::{UndoHandler, call_undo_handler};
pub(crate) use recovery::{Recovery, has_journal, recover};
pub use step::{SavedContent, UndoAction, UndoStep};
pub(crate) use undone_by::UndoneBy;
pub(crate) use writer::UndoJournal;
