//! The content of a directory, in memory.

use crate::os::directory;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// The files, directories and symlinks below a directory, by relative path. A directory comes
/// before its content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Snapshot(pub(super) BTreeMap<PathBuf, SnapshotEntry>);

/// An entry of a snapshot. Permissions are the lower 12 bits of the mode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum SnapshotEntry {
    /// The bytes and the permissions of a file.
    File(Vec<u8>, u32),
    /// The permissions of a directory.
    Directory(u32),
    /// The target of a symlink.
    Symlink(PathBuf),
}

impl Snapshot {
    /// Reads all files, directories and symlinks below `root`. Skips devices, FIFOs and sockets.
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let mut snapshot = Self::default();
        snapshot.add(root, Path::new(""))?;
        Ok(snapshot)
    }

    fn add(&mut self, root: &Path, directory: &Path) -> io::Result<()> {
        for entry in fs::read_dir(root.join(directory))? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            let metadata = entry.metadata()?;
            let permissions = metadata.permissions().mode() & 0o7777;
            if metadata.is_dir() {
                self.0
                    .insert(path.clone(), SnapshotEntry::Directory(permissions));
                self.add(root, &path)?;
            } else if metadata.is_symlink() {
                let to = fs::read_link(entry.path())?;
                self.0.insert(path, SnapshotEntry::Symlink(to));
            } else if metadata.is_file() {
                let bytes = fs::read(entry.path())?;
                self.0.insert(path, SnapshotEntry::File(bytes, permissions));
            }
        }
        Ok(())
    }

    /// Creates the directory `root` with exactly this content. Replaces a file or directory that
    /// already exists at `root`.
    pub(super) fn write(&self, root: &Path) -> io::Result<()> {
        directory::remove(root)?;
        fs::create_dir(root)?;
        for (path, entry) in &self.0 {
            let path = root.join(path);
            match entry {
                SnapshotEntry::File(bytes, permissions) => {
                    fs::write(&path, bytes)?;
                    fs::set_permissions(&path, Permissions::from_mode(*permissions))?;
                }
                SnapshotEntry::Directory(_) => fs::create_dir(&path)?,
                SnapshotEntry::Symlink(to) => symlink(to, &path)?,
            }
        }
        // Sets the permissions of directories last, since a directory without write permission
        // would refuse new entries.
        for (path, entry) in self.0.iter().rev() {
            if let SnapshotEntry::Directory(permissions) = entry {
                fs::set_permissions(root.join(path), Permissions::from_mode(*permissions))?;
            }
        }
        Ok(())
    }

    /// Gives the paths, the bytes of files and the targets of symlinks, without permissions.
    pub(super) fn contents(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        use std::os::unix::ffi::OsStrExt as _;
        let content = |entry: &SnapshotEntry| match entry {
            SnapshotEntry::File(bytes, _) => Some(bytes.clone()),
            SnapshotEntry::Directory(_) => None,
            SnapshotEntry::Symlink(to) => Some(to.as_os_str().as_bytes().to_vec()),
        };
        self.0
            .iter()
            .map(|(path, entry)| (path.clone(), content(entry)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_is_written_with_permissions_and_symlinks() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("directory")).unwrap();
        fs::write(from.join("directory/file"), "bytes").unwrap();
        fs::set_permissions(from.join("directory/file"), Permissions::from_mode(0o600)).unwrap();
        symlink("directory/file", from.join("link")).unwrap();
        fs::set_permissions(from.join("directory"), Permissions::from_mode(0o500)).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(to.join("old"), "").unwrap();
        let snapshot = Snapshot::read(&from).unwrap();
        snapshot.write(&to).unwrap();
        assert_eq!(Snapshot::read(&to).unwrap(), snapshot);
        assert_eq!(snapshot.0.len(), 3);
    }
}
