//! The value of `--sandbox`.

use clap::ValueEnum;
use std::fmt;

/// Which tests are shut in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SandboxScope {
    /// None of them.
    None,
    /// Those tagged `non_destructive`.
    Marked,
    /// All of them.
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
