//! What people and tools get to see of a run; all of it is made from records.

mod failure;
mod github;
mod header;
mod html;
mod junit;
mod list;
mod picture;
mod summary;
mod sweep;

use failure::milliseconds;
pub(crate) use failure::{flaky, tell as failure};
pub(crate) use header::header;
pub(crate) use list::list;
use picture::picture;
pub(crate) use summary::Summary;
pub(crate) use sweep::{oracles, tell as sweep};
