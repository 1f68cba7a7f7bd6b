//! Walks by path, on systems where symlinks are never followed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::{EntryKind, WalkError};
use crate::sanitize::sanitize_for_log;
use crate::store::links::LinkRoots;

/// One walk below the directory of a store.
#[derive(Debug)]
pub(in crate::store) struct Walk {
    root: PathBuf,
}

/// A directory that was reached without symlinks.
#[derive(Clone, Debug)]
pub(in crate::store) struct Place(PathBuf);

impl Walk {
    pub(in crate::store) fn new(root: &Path, _links: &LinkRoots) -> io::Result<Self> {
        let root = root.to_owned();
        match fs::metadata(&root)?.is_dir() {
            true => Ok(Self { root }),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(in crate::store) fn directory(&self, names: &[&str]) -> Result<Place, WalkError> {
        self.directory_in(&Place(self.root.clone()), names)
    }

    pub(in crate::store) fn directory_in<N: AsRef<OsStr>>(
        &self,
        place: &Place,
        names: &[N],
    ) -> Result<Place, WalkError> {
        let mut path = place.0.clone();
        for name in names {
            path.push(name.as_ref());
            if !look_up(&path)?.is_dir() {
                return Err(WalkError::NotDirectory);
            }
        }
        Ok(Place(path))
    }

    pub(in crate::store) fn open(&self, place: &Place, path: &str) -> Result<File, WalkError> {
        let found = self.find(place, path.split('/').map(OsStr::new))?;
        File::open(found.0).map_err(WalkError::from)
    }

    pub(in crate::store) fn stat(
        &self,
        place: &Place,
        path: &OsStr,
    ) -> Result<Metadata, WalkError> {
        let found = self.find(place, Path::new(path).iter())?;
        Ok(found.1)
    }

    /// Always false: without symlinks, nothing can be swapped.
    pub(in crate::store) fn has_changed(&self) -> bool {
        false
    }

    fn find<'a>(
        &self,
        place: &Place,
        names: impl Iterator<Item = &'a OsStr>,
    ) -> Result<(PathBuf, Metadata), WalkError> {
        let mut path = place.0.clone();
        let mut found = look_up(&path)?;
        for name in names {
            path.push(name);
            found = look_up(&path)?;
        }
        Ok((path, found))
    }
}

impl Place {
    pub(in crate::store) fn is_linked(&self) -> bool {
        false
    }

    pub(in crate::store) fn entries(&self) -> io::Result<Vec<(OsString, EntryKind)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            match entry.file_type() {
                Ok(kind) => found.push((entry.file_name(), kind.into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

impl EntryKind {
    /// The type of the entry with this metadata.
    pub(in crate::store) fn of(found: &Metadata) -> Self {
        found.file_type().into()
    }
}

impl From<fs::FileType> for EntryKind {
    fn from(kind: fs::FileType) -> Self {
        if kind.is_symlink() {
            Self::Symlink
        } else if kind.is_dir() {
            Self::Directory
        } else if kind.is_file() {
            Self::File
        } else {
            Self::Other
        }
    }
}

impl From<io::Error> for WalkError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::NotADirectory => Self::NotDirectory,
            _ => Self::Io(error),
        }
    }
}

/// The metadata of an entry. Returns an error if the entry is a symlink.
fn look_up(path: &Path) -> Result<Metadata, WalkError> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_symlink() {
        return Ok(found);
    }
    let target = fs::read_link(path).unwrap_or_default();
    Err(WalkError::LinkNotAllowed {
        link: sanitize_for_log(path.display()),
        target: sanitize_for_log(target.display()),
    })
}
