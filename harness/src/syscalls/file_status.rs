//! The status of a file, as `lstat` shows it.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::SystemTime;

/// Identifies a file by its device and inode, not by a name. After the last name and descriptor are
/// gone, a new file can have the same identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

/// The status of a file, directory, symlink or special file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStatus {
    pub(crate) identity: Identity,
    /// The lower 12 bits of `st_mode`.
    pub(crate) mode: u32,
    /// The length in bytes.
    pub(crate) length: u64,
    /// The number of names.
    pub(crate) links: u64,
    /// The numbers of the owner and the group.
    pub(crate) owner: (u32, u32),
    /// The time of modification; none if the file system has none.
    pub(crate) modified: Option<SystemTime>,
}

/// The files of a call, as they are before or after the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// The file of the call's descriptor or first path; none if the path has no file.
    pub(crate) file: Option<FileStatus>,
    /// The file at the new name of a rename or link.
    pub(crate) target: Option<FileStatus>,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    pub(crate) fn device(self) -> u64 {
        self.device
    }

    pub(crate) fn inode(self) -> u64 {
        self.inode
    }
}

impl FileStatus {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            identity: Identity::of(metadata),
            mode: metadata.permissions().mode() & 0o7777,
            length: metadata.len(),
            links: metadata.nlink(),
            owner: (metadata.uid(), metadata.gid()),
            modified: metadata.modified().ok(),
        }
    }

    /// Looks at a path, without following a symlink at its end. Gives none if nothing is there, or
    /// if the path cannot be reached.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path)
            .ok()
            .map(|found| Self::of(&found))
    }
}
