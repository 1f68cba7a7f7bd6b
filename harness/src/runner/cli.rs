//! The command line of a chaos-test binary: libtest's flags and the flags of the harness.

mod command;
mod defaults;
mod isolation;
pub(crate) mod nightly_flags;
mod options;
mod parsing;
pub(crate) mod sandbox_scope;
pub(crate) mod seeds;
mod values;

pub(crate) use self::command::variables;
pub(crate) use self::options::{DEFAULT_TIMEOUT, Options};
pub(crate) use self::values::{HomeChoice, KeepDirs, KnownSeeds, NoTests, OracleMode, SeedChoice};
