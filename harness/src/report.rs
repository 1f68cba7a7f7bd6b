//! What people and tools get to see of a run; all of it is made from records.

mod failure;
mod header;
mod junit;
mod list;
mod sweep;

pub(crate) use failure::tell as failure;
pub(crate) use header::header;
pub(crate) use junit::write as junit;
pub(crate) use list::list;
pub(crate) use sweep::{oracles, tell as sweep};
