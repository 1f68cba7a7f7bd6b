//! Describes system calls that concern the files of one directory.

use crate::syscalls::file_status::Sighting;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// A system call that concerns files of one directory. Paths are relative to that directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileCall {
    pub(crate) name: &'static str,
    pub(crate) effect: Effect,
    /// The descriptor through which the call acts on its file; none if it acts on a path.
    pub(crate) descriptor: Option<i32>,
    /// The files before the call. Recorded together with written bytes.
    pub(crate) before: Sighting,
    /// The files after the call; none if that is not known, as when another thread makes the next
    /// call. A call that has failed leaves the files as they were.
    pub(crate) after: Option<Sighting>,
}

impl FileCall {
    pub(crate) fn new(name: &'static str, effect: Effect, descriptor: Option<i32>) -> Self {
        Self {
            name,
            effect,
            descriptor,
            before: Sighting::default(),
            after: None,
        }
    }

    /// Gives the reason if the call has changed files in an unsupported way.
    pub(crate) fn unsupported(&self) -> Option<&'static str> {
        let owner = |sighting: &Sighting| sighting.file.map(|file| file.owner);
        match &self.effect {
            Effect::Unsupported { reason, .. } => Some(*reason),
            Effect::UnsupportedEntry { reason, .. } => {
                (self.after != Some(self.before)).then_some(*reason)
            }
            Effect::ChangeAttributes { .. } => {
                let is_same = |after: &Sighting| owner(after) == owner(&self.before);
                let is_other = self.after.as_ref().is_some_and(|after| !is_same(after));
                is_other.then_some("a change of a file's owner")
            }
            _ => None,
        }
    }
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
    /// Creates a file without a name in this directory.
    OpenUnnamed {
        path: PathBuf,
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
        kind: RenameKind,
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
    /// Sets or removes an entry in an unsupported way, unless the call fails.
    UnsupportedEntry {
        path: PathBuf,
        reason: &'static str,
    },
}

/// The treatment of a file that already has the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RenameKind {
    Replace,
    /// The call fails (`RENAME_NOREPLACE`).
    Keep,
    /// The file gets the old name (`RENAME_EXCHANGE`).
    Exchange,
}

/// The extent of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
            | Self::OpenUnnamed { path }
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
            | Self::Unsupported { path, .. }
            | Self::UnsupportedEntry { path, .. } => path,
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
            | Self::OpenUnnamed { .. }
            | Self::Acknowledge
            | Self::NoChange { .. }
            | Self::Reflink { .. } => false,
            _ => true,
        }
    }

    /// Whether the call changes files, or writes a file to the disk.
    pub(crate) fn concerns_files(&self) -> bool {
        self.changes() && *self != Self::SyncAll
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
            Self::OpenUnnamed { .. }
            | Self::Write { .. }
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
        let written = match &self.effect {
            Effect::Write { bytes, .. } => bytes.len() as u64,
            _ => 0,
        };
        f.write_str(&self.describe(written))
    }
}

impl FileCall {
    /// Describes the call. A write is a write of `written` bytes.
    pub(crate) fn describe(&self, written: u64) -> String {
        let name = self.name;
        let path = self.effect.path().display();
        match &self.effect {
            Effect::Write { offset, .. } => match offset {
                Some(offset) => format!("{name} of {written} bytes at {offset} of {path}"),
                None => format!("{name} of {written} bytes at the end of {path}"),
            },
            Effect::Store { offset, bytes, .. } => {
                format!("{name} of {} bytes at {offset} of {path}", bytes.len())
            }
            Effect::SyncRange { offset, length, .. } => {
                format!("{name} of {length} bytes at {offset} of {path}")
            }
            Effect::Truncate { length, .. } => format!("{name} of {path} to {length} bytes"),
            Effect::Open {
                creates, truncates, ..
            } if *creates || *truncates => {
                let flags = match (creates, truncates) {
                    (true, true) => "O_CREAT and O_TRUNC",
                    (true, false) => "O_CREAT",
                    _ => "O_TRUNC",
                };
                format!("{name} of {path} with {flags}")
            }
            Effect::Rename {
                to,
                kind: RenameKind::Exchange,
                ..
            } => format!("{name} that exchanges {path} and {}", to.display()),
            Effect::MoveOut { .. } => format!("{name} of {path} out of the directory"),
            Effect::ChangeMode { mode, .. } => format!("{name} of {path} to {mode:03o}"),
            Effect::Rename { to, .. } | Effect::Link { to, .. } | Effect::Symlink { to, .. } => {
                format!("{name} of {path} to {}", to.display())
            }
            Effect::Acknowledge => "acknowledgement".to_owned(),
            Effect::SyncAll => name.to_owned(),
            _ if self.effect.path() == Path::new("") => format!("{name} of the directory"),
            _ => format!("{name} of {path}"),
        }
    }
}

/// Splits a path into its parent and its file name.
pub(crate) fn split(path: &Path) -> Option<(&Path, OsString)> {
    Some((path.parent()?, path.file_name()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscalls::file_status::FileStatus;

    fn call(effect: Effect, change: fn(&mut FileStatus)) -> FileCall {
        let before = FileStatus::at(Path::new("/")).unwrap();
        let mut after = before;
        change(&mut after);
        let sighting = |file| Sighting {
            file: Some(file),
            target: None,
        };
        FileCall {
            before: sighting(before),
            after: Some(sighting(after)),
            ..FileCall::new("call", effect, None)
        }
    }

    #[test]
    fn changed_owner_is_unsupported() {
        let effect = Effect::ChangeAttributes {
            path: PathBuf::new(),
        };
        assert_eq!(call(effect.clone(), |_| {}).unsupported(), None);
        let changed = call(effect, |status| status.owner.1 += 1);
        assert_eq!(changed.unsupported(), Some("a change of a file's owner"));
    }

    #[test]
    fn failed_call_on_an_entry_is_supported() {
        let (path, reason) = (PathBuf::new(), "a special file");
        let effect = Effect::UnsupportedEntry { path, reason };
        assert_eq!(call(effect.clone(), |_| {}).unsupported(), None);
        let changed = call(effect.clone(), |status| status.links += 1);
        assert_eq!(changed.unsupported(), Some(reason));
        let unknown = FileCall::new("call", effect, None);
        assert_eq!(unknown.unsupported(), Some(reason));
    }
}
