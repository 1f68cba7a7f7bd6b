//! What a call of an operation would do in its directory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A call of the operation that concerns its directory. Paths are relative to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) effect: Effect,
}

/// What a call would do if it succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Opens a file, which it may make or empty.
    Open {
        path: PathBuf,
        creates: bool,
        truncates: bool,
    },
    /// Writes these bytes there; at the end of the file if nowhere else.
    Write {
        path: PathBuf,
        at: Option<u64>,
        bytes: Vec<u8>,
        /// Whether they are on the disk when it returns.
        durable: bool,
    },
    Truncate {
        path: PathBuf,
        length: u64,
    },
    /// Makes a file at least so long.
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
    RemoveFolder {
        path: PathBuf,
    },
    MakeFolder {
        path: PathBuf,
    },
    Link {
        from: PathBuf,
        to: PathBuf,
    },
    Symlink {
        to: PathBuf,
        path: PathBuf,
    },
    /// Brings a file or folder to the disk.
    Sync {
        path: PathBuf,
    },
    /// Brings everything to the disk.
    SyncAll,
    Read {
        path: PathBuf,
    },
    /// Changes rights or owner.
    Rights {
        path: PathBuf,
    },
    /// Makes a file share the blocks of another.
    Clone {
        path: PathBuf,
    },
    /// Fails whatever is done, for a reason of its own.
    Nothing {
        path: PathBuf,
    },
    /// Changes files in a way that cannot be followed.
    Unknown {
        path: PathBuf,
        why: &'static str,
    },
}

impl Effect {
    /// The file that it is about.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Open { path, .. }
            | Self::Write { path, .. }
            | Self::Truncate { path, .. }
            | Self::Extend { path, .. }
            | Self::Unlink { path }
            | Self::RemoveFolder { path }
            | Self::MakeFolder { path }
            | Self::Symlink { path, .. }
            | Self::Sync { path }
            | Self::Read { path }
            | Self::Rights { path }
            | Self::Clone { path }
            | Self::Nothing { path }
            | Self::Unknown { path, .. } => path,
            Self::Rename { from, .. } | Self::MoveOut { from } | Self::Link { from, .. } => from,
            Self::SyncAll => Path::new(""),
        }
    }

    /// Whether it leaves something else on the disk than was there.
    pub(crate) fn changes(&self) -> bool {
        match self {
            Self::Open {
                creates, truncates, ..
            } => *creates || *truncates,
            Self::Read { .. } | Self::Nothing { .. } | Self::Clone { .. } => false,
            _ => true,
        }
    }

    /// Whether it may need room on the disk.
    pub(crate) fn allocates(&self) -> bool {
        match self {
            Self::Open { creates, .. } => *creates,
            Self::Write { .. }
            | Self::Extend { .. }
            | Self::Truncate { .. }
            | Self::Rename { .. }
            | Self::MakeFolder { .. }
            | Self::Link { .. }
            | Self::Symlink { .. }
            | Self::Sync { .. }
            | Self::SyncAll => true,
            _ => false,
        }
    }
}

impl Call {
    /// In words: `rename of draft to current`.
    pub(crate) fn words(&self) -> String {
        let name = self.name;
        let path = self.effect.path().display();
        match &self.effect {
            Effect::Write { at, bytes, .. } => match at {
                Some(at) => format!("{name} of {} bytes at {at} of {path}", bytes.len()),
                None => format!("{name} of {} bytes at the end of {path}", bytes.len()),
            },
            Effect::Truncate { length, .. } => format!("{name} of {path} to {length} bytes"),
            Effect::Rename { to, .. } | Effect::Link { to, .. } => {
                format!("{name} of {path} to {}", to.display())
            }
            Effect::SyncAll => name.to_owned(),
            _ if self.effect.path() == Path::new("") => format!("{name} of the directory"),
            _ => format!("{name} of {path}"),
        }
    }
}

/// The folder of a path, and its name there.
pub(crate) fn split(path: &Path) -> Option<(&Path, OsString)> {
    Some((path.parent()?, path.file_name()?.to_owned()))
}
