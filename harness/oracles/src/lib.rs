#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod macros;
mod oracle;
mod sink;

pub use oracle::{Oracle, OracleKind, catalogue};
pub use sink::{Sink, listen, silence};

/// Not public API: the generated code of the macros uses these items.
#[doc(hidden)]
pub mod __private {
    pub use crate::sink::is_listening;
    pub use inventory;
}
