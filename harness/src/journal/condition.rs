//! The conditions under which an undo step applies.

use super::error::UndoError;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The condition of an [`UndoStep`](super::UndoStep). A step is skipped if its condition does not
/// hold. A condition that does not hold means that the code under test has changed the target since
/// the damage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UndoCondition {
    /// The path still leads to the damaged file, and nobody has written to this file since the
    /// damage.
    Unchanged {
        /// The file. Symlinks are followed.
        path: PathBuf,
        /// The file's identity right after the damage.
        identity: FileIdentity,
    },
    /// The file or directory has this mode. On Unix only.
    Mode {
        /// The file or directory. Symlinks are followed.
        path: PathBuf,
        /// The lowest nine bits of the mode, 0 to 0o777.
        mode: u32,
    },
    /// The file or directory belongs to this user and group. On Unix only.
    Owner {
        /// The file or directory. Symlinks are followed.
        path: PathBuf,
        /// The user ID.
        uid: u32,
        /// The group ID.
        gid: u32,
    },
    /// The path is an empty directory, or does not exist.
    EmptyDirectory {
        /// The path of the directory.
        path: PathBuf,
    },
    /// The path is a symlink to `to`, or does not exist.
    Symlink {
        /// The path of the symlink.
        path: PathBuf,
        /// The path that the symlink contains.
        to: PathBuf,
    },
}

/// The identity of a file: device, inode, size and modification time. A write to the file changes
/// the identity. A new file at the same path has another identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileIdentity {
    #[cfg(unix)]
    inode: (u64, u64),
    size: u64,
    modified: Option<SystemTime>,
}

impl FileIdentity {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }

    /// Whether `self` and `other` describe the same file, which may have been written in between.
    /// Always true on systems without inodes.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        #[cfg(unix)]
        let is_same = self.inode == other.inode;
        #[cfg(not(unix))]
        let is_same = {
            let _ = other;
            true
        };
        is_same
    }
}

impl From<&Metadata> for FileIdentity {
    fn from(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            #[cfg(unix)]
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }
}

impl UndoCondition {
    /// Returns the condition that the file at `path` has not changed since this call.
    ///
    /// # Errors
    ///
    /// When the file's metadata cannot be read.
    pub fn unchanged(path: impl Into<PathBuf>) -> Result<Self, UndoError> {
        let path = path.into();
        let metadata = fs::metadata(&path).map_err(UndoError::file("look at", &path))?;
        let identity = FileIdentity::from(&metadata);
        Ok(Self::Unchanged { path, identity })
    }

    /// Returns a description of the state that violates the condition, or `None` if the condition
    /// holds.
    pub(super) fn violation(&self) -> Result<Option<String>, UndoError> {
        let found = match self {
            Self::Unchanged { path, identity } => match metadata(path)? {
                None => "no file".to_owned(),
                Some(now) if FileIdentity::from(&now) == *identity => return Ok(None),
                Some(_) => WRITTEN_SINCE.to_owned(),
            },
            Self::Mode { path, mode } => match metadata(path)? {
                None => "nothing in its place".to_owned(),
                Some(now) => match permission_bits(&now) {
                    now if now == Some(*mode) => return Ok(None),
                    Some(now) => format!("the mode {now:03o}"),
                    None => "no mode".to_owned(),
                },
            },
            Self::Owner { path, uid, gid } => match metadata(path)? {
                None => "nothing in its place".to_owned(),
                Some(now) => match owner(&now) {
                    now if now == Some((*uid, *gid)) => return Ok(None),
                    Some((uid, gid)) => format!("the owner {uid}:{gid}"),
                    None => "no owner".to_owned(),
                },
            },
            Self::EmptyDirectory { path } => match symlink_metadata(path)? {
                None => return Ok(None),
                Some(now) if now.is_dir() && is_empty(path)? => return Ok(None),
                Some(_) => NEW_IN_ITS_PLACE.to_owned(),
            },
            Self::Symlink { path, to } => match symlink_metadata(path)? {
                None => return Ok(None),
                Some(now) if now.is_symlink() && leads_to(path, to)? => return Ok(None),
                Some(_) => NEW_IN_ITS_PLACE.to_owned(),
            },
        };
        Ok(Some(found))
    }

    /// Makes the condition's path absolute.
    pub(super) fn make_absolute(&mut self) -> Result<(), UndoError> {
        let (Self::Unchanged { path, .. }
        | Self::Mode { path, .. }
        | Self::Owner { path, .. }
        | Self::EmptyDirectory { path }
        | Self::Symlink { path, .. }) = self;
        make_absolute(path)
    }
}

/// The permission bits of the file at `path`. `None` if the file or its mode does not exist.
pub(super) fn mode_of(path: &Path) -> Result<Option<u32>, UndoError> {
    Ok(metadata(path)?.and_then(|found| permission_bits(&found)))
}

/// The user and group of the file at `path`. `None` if the file or its owner does not exist.
pub(super) fn owner_of(path: &Path) -> Result<Option<(u32, u32)>, UndoError> {
    Ok(metadata(path)?.and_then(|found| owner(&found)))
}

pub(super) const WRITTEN_SINCE: &str = "a file that was written since";
pub(super) const NEW_IN_ITS_PLACE: &str = "something new in its place";

/// Makes a path absolute without access to the file system.
// The path belongs to an undo step that the runner can also run. The runner has another working
// directory, so a relative path would lead elsewhere.
pub(super) fn make_absolute(path: &mut PathBuf) -> Result<(), UndoError> {
    *path = std::path::absolute(&*path).map_err(UndoError::file("find", path))?;
    Ok(())
}

/// The metadata of the file that `path` leads to. `None` if no such file exists.
pub(super) fn metadata(path: &Path) -> Result<Option<Metadata>, UndoError> {
    if_present(path, fs::metadata(path))
}

/// The metadata of the path itself: a symlink is not followed. `None` if the path does not exist.
pub(super) fn symlink_metadata(path: &Path) -> Result<Option<Metadata>, UndoError> {
    if_present(path, fs::symlink_metadata(path))
}

fn if_present(path: &Path, found: io::Result<Metadata>) -> Result<Option<Metadata>, UndoError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(UndoError::file("look at", path)(error)),
    }
}

fn is_empty(directory: &Path) -> Result<bool, UndoError> {
    let mut entries = fs::read_dir(directory).map_err(UndoError::file("list", directory))?;
    Ok(entries.next().is_none())
}

fn leads_to(symlink: &Path, to: &Path) -> Result<bool, UndoError> {
    let found = fs::read_link(symlink).map_err(UndoError::file("read the symlink", symlink))?;
    Ok(found == to)
}

/// The permission bits of a mode.
#[cfg(unix)]
pub(super) const PERMISSIONS: u32 = 0o777;

#[cfg(unix)]
fn permission_bits(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(metadata.permissions().mode() & PERMISSIONS)
}

#[cfg(unix)]
fn owner(metadata: &Metadata) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.uid(), metadata.gid()))
}

#[cfg(not(unix))]
fn permission_bits(_metadata: &Metadata) -> Option<u32> {
    None
}

#[cfg(not(unix))]
fn owner(_metadata: &Metadata) -> Option<(u32, u32)> {
    None
}
