//! Reports of chaos tests, made from their records alone.

#![forbid(unsafe_code)]

mod duration;
mod failure;
pub mod github;
mod hints;
mod html;
mod junit;
mod oracles;
mod picture;
mod records;
mod summary;

pub use duration::seconds;
pub use failure::{failure, flaky};
pub use hints::hints;
pub use html::html;
pub use junit::junit;
pub use oracles::oracles;
pub use records::{elapsed, read_records};
pub use summary::{Provenance, Summary};
