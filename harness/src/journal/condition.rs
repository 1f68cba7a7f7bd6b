//! The conditions under which an undo step applies.

use super::error::UndoError;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The condition of an [`UndoStep`](super::UndoStep): where it does not hold, the code under test
/// has changed the target since, and the step is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UndoCondition {
    /// The file is the same one, and nobody has written to it.
    Unchanged {
        /// The file. Symlinks are followed.
        path: PathBuf,
        /// Its identity right after the damage.
        identity: FileIdentity,
    },
    /// The file or directory has this mode. On Unix alone.
    Mode {
        /// The file or directory. Symlinks are followed.
        path: PathBuf,
        /// The lowest nine bits of the mode, 0 to 0o777.
        mode: u32,
    },
    /// The file or directory belongs to this user and group. On Unix alone.
    Owner {
        /// The file or directory. Symlinks are followed.
        path: PathBuf,
        /// The number of the user.
        uid: u32,
        /// The number of the group.
        gid: u32,
    },
    /// At the path is an empty directory, or nothing.
    EmptyDirectory {
        /// The path.
        path: PathBuf,
    },
    /// At the path is a symlink to `to`, or nothing.
    Symlink {
        /// The path.
        path: PathBuf,
        /// The content of the symlink.
        to: PathBuf,
    },
}

/// The identity of a file: device, inode, size and time of modification. Each write changes it, and
/// so does a new file at the same path.
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
    /// The file at `path` stays as it is now.
    ///
    /// # Errors
    ///
    /// When the system does not describe the file.
    pub fn unchanged(path: impl Into<PathBuf>) -> Result<Self, UndoError> {
        let path = path.into();
        let metadata = fs::metadata(&path).map_err(UndoError::file("look at", &path))?;
        let identity = FileIdentity::from(&metadata);
        Ok(Self::Unchanged { path, identity })
    }

    /// The state that violates the condition; `None` where it holds.
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

    /// Makes the path absolute.
    pub(super) fn make_absolute(&mut self) -> Result<(), UndoError> {
        let (Self::Unchanged { path, .. }
        | Self::Mode { path, .. }
        | Self::Owner { path, .. }
        | Self::EmptyDirectory { path }
        | Self::Symlink { path, .. }) = self;
        make_absolute(path)
    }
}

pub(super) const WRITTEN_SINCE: &str = "a file that was written since";
pub(super) const NEW_IN_ITS_PLACE: &str = "something new in its place";

/// Makes a path absolute, without a look at the file system: the runner has another working
/// directory.
pub(super) fn make_absolute(path: &mut PathBuf) -> Result<(), UndoError> {
    *path = std::path::absolute(&*path).map_err(UndoError::file("find", path))?;
    Ok(())
}

/// The metadata of the file that `path` leads to, if there is one.
pub(super) fn metadata(path: &Path) -> Result<Option<Metadata>, UndoError> {
    if_present(path, fs::metadata(path))
}

/// The metadata of the path itself, if anything is there.
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

/// The bits of a mode that are permissions.
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
