//! Describes system calls that concern the files of one directory.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// A system call that concerns files of one directory. Paths are relative to that directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileCall {
    pub(crate) name: &'static str,
    pub(crate) effect: Effect,
}

/// The effect of a call if the call succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Open {
        path: PathBuf,
        creates: bool,
        truncates: bool,
        /// The mode of a new file.
        mode: u32,
    },
    Write {
        path: PathBuf,
        /// The offset of the write in the file, in bytes. If none, the write appends to the file.
        offset: Option<u64>,
        bytes: Vec<u8>,
        /// The sync that is a part of the call.
        sync: Option<Sync>,
    },
    /// Changes bytes through a shared mapping, without a system call.
    Store {
        path: PathBuf,
        offset: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        path: PathBuf,
        length: u64,
    },
    /// Extends a file to this length, in bytes, if the file is shorter.
    Extend {
        path: PathBuf,
        length: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        exchange: bool,
    },
    /// Moves a file out of the directory.
    MoveOut {
        from: PathBuf,
    },
    Unlink {
        path: PathBuf,
    },
    RemoveDirectory {
        path: PathBuf,
    },
    MakeDirectory {
        path: PathBuf,
        mode: u32,
    },
    Link {
        from: PathBuf,
        to: PathBuf,
    },
    Symlink {
        to: PathBuf,
        path: PathBuf,
    },
    /// Writes a file or directory to the disk.
    Sync {
        path: PathBuf,
        sync: Sync,
    },
    /// Writes some bytes of a file to the disk, with the metadata of [`Sync::Data`].
    SyncRange {
        path: PathBuf,
        offset: u64,
        length: u64,
    },
    /// Writes the whole file system to the disk.
    SyncAll,
    Read {
        path: PathBuf,
    },
    /// Acknowledges the effects so far.
    Acknowledge,
    /// Changes the mode.
    ChangeMode {
        path: PathBuf,
        mode: u32,
    },
    /// Changes the owner or the times.
    ChangeAttributes {
        path: PathBuf,
    },
    /// Makes a file share the blocks of another file.
    Reflink {
        path: PathBuf,
    },
    /// Changes nothing: the call always fails, or does not guarantee that it writes anything.
    NoChange {
        path: PathBuf,
    },
    /// Changes files in an unsupported way.
    Unsupported {
        path: PathBuf,
        reason: &'static str,
    },
}

/// The extent of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Bytes and length: `fdatasync`, `O_DSYNC`.
    Data,
    /// Also the rest of the metadata: `fsync`, `O_SYNC`.
    Full,
}

impl Effect {
    /// Gives the path of the affected file. For a rename or link, gives the path of the source.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Open { path, .. }
            | Self::Write { path, .. }
            | Self::Store { path, .. }
            | Self::Truncate { path, .. }
            | Self::Extend { path, .. }
            | Self::Unlink { path }
            | Self::RemoveDirectory { path }
            | Self::MakeDirectory { path, .. }
            | Self::Symlink { path, .. }
            | Self::Sync { path, .. }
            | Self::SyncRange { path, .. }
            | Self::Read { path }
            | Self::ChangeMode { path, .. }
            | Self::ChangeAttributes { path }
            | Self::Reflink { path }
            | Self::NoChange { path }
            | Self::Unsupported { path, .. } => path,
            Self::Rename { from, .. } | Self::MoveOut { from } | Self::Link { from, .. } => from,
            Self::SyncAll | Self::Acknowledge => Path::new(""),
        }
    }

    /// Whether the call may change the state of the disk.
    pub(crate) fn changes(&self) -> bool {
        match self {
            Self::Open {
                creates, truncates, ..
            } => *creates || *truncates,
            Self::Read { .. }
            | Self::Acknowledge
            | Self::NoChange { .. }
            | Self::Reflink { .. }
            | Self::ChangeAttributes { .. } => false,
            _ => true,
        }
    }

    /// Whether a crash before the call can leave another state, or another acknowledged state, than
    /// a crash before the next call.
    pub(crate) fn is_point(&self) -> bool {
        self.changes() || *self == Self::Acknowledge
    }

    /// Whether the call writes cached changes to the disk.
    pub(crate) fn is_sync(&self) -> bool {
        matches!(
            self,
            Self::Sync { .. } | Self::SyncRange { .. } | Self::SyncAll
        )
    }

    /// Whether the call may allocate space on the disk.
    pub(crate) fn allocates(&self) -> bool {
        match self {
            Self::Open { creates, .. } => *creates,
            Self::Write { .. }
            | Self::Extend { .. }
            | Self::Truncate { .. }
            | Self::Rename { .. }
            | Self::MakeDirectory { .. }
            | Self::Link { .. }
            | Self::Symlink { .. }
            | Self::Sync { .. }
            | Self::SyncRange { .. }
            | Self::SyncAll => true,
            _ => false,
        }
    }
}

/// Describes the call, for example as `rename of draft to current`.
impl fmt::Display for FileCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        let path = self.effect.path().display();
        match &self.effect {
            Effect::Write { offset, bytes, .. } => match offset {
                Some(offset) => write!(f, "{name} of {} bytes at {offset} of {path}", bytes.len()),
                None => write!(f, "{name} of {} bytes at the end of {path}", bytes.len()),
            },
            Effect::Store { offset, bytes, .. } => {
                write!(f, "{name} of {} bytes at {offset} of {path}", bytes.len())
            }
            Effect::SyncRange { offset, length, .. } => {
                write!(f, "{name} of {length} bytes at {offset} of {path}")
            }
            Effect::Truncate { length, .. } => write!(f, "{name} of {path} to {length} bytes"),
            Effect::Rename { to, .. } | Effect::Link { to, .. } => {
                write!(f, "{name} of {path} to {}", to.display())
            }
            Effect::Acknowledge => f.write_str("acknowledgement"),
            Effect::SyncAll => f.write_str(name),
            _ if self.effect.path() == Path::new("") => write!(f, "{name} of the directory"),
            _ => write!(f, "{name} of {path}"),
        }
    }
}

/// Splits a path into its parent and its file name.
pub(crate) fn split(path: &Path) -> Option<(&Path, OsString)> {
    Some((path.parent()?, path.file_name()?.to_owned()))
}
