//! The options that choose the file of profiles and the profile.

use std::path::PathBuf;

/// The options, as on the command line.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ProfileOptions {
    /// File of profiles [default: .config/chaos.toml at the root of the workspace]
    #[arg(
        long = "config",
        value_name = "FILE",
        env = "CHAOS_CONFIG",
        help_heading = "Running"
    )]
    pub(crate) config: Option<PathBuf>,

    /// Profile whose settings take the place of the defaults; see Profiles below [default: default]
    #[arg(
        long = "profile",
        value_name = "NAME",
        env = "CHAOS_PROFILE",
        help_heading = "Running"
    )]
    pub(crate) profile: Option<String>,
}
