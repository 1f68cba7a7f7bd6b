//! The value of `--sandbox`.

use clap::ValueEnum;
use std::fmt;

/// The tests that run in the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SandboxScope {
    /// No test.
    None,
    /// Tests tagged `non_destructive`.
    Marked,
    /// All tests.
    All,
}

impl SandboxScope {
    pub(crate) const DEFAULT: Self = Self::Marked;
}

impl fmt::Display for SandboxScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Marked => "marked",
            Self::All => "all",
        })
    }
}
