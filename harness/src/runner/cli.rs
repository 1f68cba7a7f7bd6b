//! The command line of a chaos-test binary: libtest's flags and the flags of the harness.

mod active_profile;
mod command;
mod defaults;
mod isolation;
pub(crate) mod nightly_flags;
mod options;
mod parsing;
mod profile_loading;
mod profile_options;
mod recording_options;
pub(crate) mod sandbox_scope;
pub(crate) mod seeds;
mod stress;
mod test_settings;
mod values;

pub(crate) use self::active_profile::ActiveProfile;
pub(crate) use self::command::variables;
pub(crate) use self::options::Options;
pub(crate) use self::test_settings::TestSettings;
pub(crate) use self::values::{HomeChoice, KeepDirs, KnownSeeds, NoTests, OracleMode, SeedChoice};
