//! A directory that a walk has reached.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, DirEntry, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

use super::EntryKind;

/// A directory that was reached without further symlinks.
#[derive(Clone, Debug)]
pub(in crate::store) struct Place {
    pub(super) tree: Tree,
    /// The absolute path of the directory in its tree.
    pub(super) path: PathBuf,
    /// The descriptors from the start, or from the root of the last symlink, to the directory.
    pub(super) directories: Vec<Arc<OwnedFd>>,
    pub(super) is_linked: bool,
}

/// The tree that a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tree {
    Host,
    /// The tree of another process: the root with this index.
    Process(usize),
    /// An unknown tree, whose symlinks are not followed.
    Unknown,
}

impl Place {
    /// Whether a symlink led here.
    pub(in crate::store) fn is_linked(&self) -> bool {
        self.is_linked
    }

    /// Lists the names and types of the entries. Does not follow symlinks.
    pub(in crate::store) fn entries(&self) -> io::Result<Vec<(OsString, EntryKind)>> {
        let mut found = Vec::new();
        for entry in Dir::new(self.reopen()?)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            match self.kind(&entry, name) {
                Ok(kind) => found.push((name.to_owned(), kind)),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    fn kind(&self, entry: &DirEntry, name: &OsStr) -> Result<EntryKind, Errno> {
        match entry.file_type() {
            FileType::Unknown => statat(self.last(), name, AtFlags::SYMLINK_NOFOLLOW)
                .map(|found| EntryKind::of(&found)),
            kind => Ok(kind.into()),
        }
    }

    pub(super) fn last(&self) -> &Arc<OwnedFd> {
        let last = self.directories.last();
        last.expect("a place has at least one directory")
    }

    /// Opens the directory for reading.
    pub(super) fn reopen(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(self.last(), ".", flags, Mode::empty())
    }
}

impl EntryKind {
    /// The type of the entry with this metadata.
    pub(in crate::store) fn of(found: &Stat) -> Self {
        FileType::from_raw_mode(found.st_mode).into()
    }
}

impl From<FileType> for EntryKind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::Directory => Self::Directory,
            FileType::RegularFile => Self::File,
            FileType::Symlink => Self::Symlink,
            _ => Self::Other,
        }
    }
}
