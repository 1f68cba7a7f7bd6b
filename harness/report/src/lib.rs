#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod auto_advance;
mod duration;
mod excerpt;
mod exploration;
mod failure;
pub mod github;
mod hints;
mod html;
mod junit;
mod picture;
mod records;
mod state_changes;
mod summary;
mod unmet_oracles;
pub mod workflow_commands;

pub use duration::format_seconds;
pub use excerpt::{first_line, quoted};
pub use exploration::render_exploration;
pub use failure::{render_failure, render_flaky};
pub use hints::hints;
pub use html::render_html;
pub use junit::{JunitDialect, JunitOptions, render_junit};
pub use records::{elapsed, read_records};
pub use summary::{Provenance, Summary};
pub use unmet_oracles::render_unmet_oracles;
