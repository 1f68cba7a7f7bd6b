//! The options that write a recording of the run, and run a recording again.

use std::path::PathBuf;

/// The options, as on the command line.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RecordingOptions {
    /// Write the run to this file: records, kept directories, the identity of binary and machine;
    /// --replay runs it again, also elsewhere
    #[arg(
        long = "recording",
        value_name = "FILE",
        env = "CHAOS_RECORDING",
        help_heading = "Reports"
    )]
    pub(crate) recording: Option<PathBuf>,

    /// Run the tests of a recording again, each with its recorded seed, and compare; say first what
    /// differs here. FILTERs select among its tests
    #[arg(
        long = "replay",
        value_name = "FILE",
        conflicts_with_all = ["seed", "seeds", "stress", "last_failed", "failed_first", "merge", "records"],
        help_heading = "Running"
    )]
    pub(crate) replay: Option<PathBuf>,
}
