//! What people and tools get to see of a run; all of it is made from records.

mod failure;
mod github;
mod header;
mod hints;
mod html;
mod junit;
mod list;
mod oracles;
mod picture;
mod summary;

use failure::milliseconds;
pub(crate) use failure::{flaky, tell as failure};
pub(crate) use header::header;
pub(crate) use hints::hints;
pub(crate) use list::list;
pub(crate) use oracles::oracles;
use picture::picture;
pub(crate) use summary::Summary;
