//! Kinds of system calls, by their effect on a file.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a call does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallKind {
    /// Opens it, whatever for.
    Open,
    /// Reads from it.
    Read,
    /// Lists it, a folder.
    List,
    /// Writes to it, or copies into it.
    Write,
    /// Brings it to the disk: `fsync` and its like.
    Sync,
    /// Gives it another name.
    Rename,
    /// Takes its name away.
    Remove,
}

impl fmt::Display for CallKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::List => "list",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::Remove => "remove",
        })
    }
}
