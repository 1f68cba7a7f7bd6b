//! Kinds of system calls on files.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A kind of system call, by its effect on a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallKind {
    /// Opens it, in any mode.
    Open,
    /// Reads from it.
    Read,
    /// Lists a directory.
    List,
    /// Writes to it, or copies into it.
    Write,
    /// Writes it to the disk: `fsync`, `fdatasync` and the like.
    Sync,
    /// Renames it.
    Rename,
    /// Removes its name.
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
