//! Kinds of system calls on files.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A kind of system call. The call's effect on a file or directory determines the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallKind {
    /// Opens a file, in any mode.
    Open,
    /// Reads from a file.
    Read,
    /// Lists a directory.
    List,
    /// Writes to a file, copies into a file, or allocates space for a file.
    Write,
    /// Writes the cached changes of a file to the disk: `fsync`, `fdatasync` and similar calls.
    Sync,
    /// Renames a file or directory.
    Rename,
    /// Removes a file or directory by its name.
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
