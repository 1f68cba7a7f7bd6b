//! Moves directories, also to another file system.

use crate::os::directory::{entry_names, remove, remove_directory};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Moves the directory `from` to the path `to`, and replaces an existing directory there. Creates
/// the parents of `to`. Keeps modes, symlinks and hard links. Leaves out devices, FIFOs and sockets
/// if `to` is on another file system.
///
/// # Errors
///
/// When the directory cannot be moved. It then stays at `from`; only if `to` is a complete copy, a
/// part of `from` can be missing.
pub(crate) fn move_directory(from: &Path, to: &Path) -> io::Result<()> {
    remove(to)?;
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    if fs::rename(from, to).is_ok() {
        return Ok(());
    }
    if let Err(error) = copy(from, to, &mut BTreeMap::new()) {
        // An incomplete copy would be mistaken for the directory.
        let _ = remove(to);
        return Err(error);
    }
    remove_directory(from)
}

/// Copies a directory. `links` has the copies of files with several names, by device and inode.
fn copy(from: &Path, to: &Path, links: &mut BTreeMap<(u64, u64), PathBuf>) -> io::Result<()> {
    let mode = fs::symlink_metadata(from)?.mode();
    fs::create_dir(to)?;
    for name in entry_names(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        let found = fs::symlink_metadata(&from)?;
        let inode = (found.dev(), found.ino());
        if found.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
        } else if found.is_dir() {
            copy(&from, &to, links)?;
        } else if let Some(copied) = links.get(&inode) {
            fs::hard_link(copied, &to)?;
        } else if found.is_file() {
            // The original is removed afterwards, so its mode may change.
            fs::set_permissions(&from, Permissions::from_mode(found.mode() | 0o400))?;
            fs::copy(&from, &to)?;
            fs::set_permissions(&to, Permissions::from_mode(found.mode() & 0o7777))?;
            links.insert(inode, to);
        }
    }
    fs::set_permissions(to, Permissions::from_mode(mode & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes(root: &Path) -> Vec<(u32, u64)> {
        ["", "sealed", "sealed/file", "name"]
            .iter()
            .map(|path| fs::symlink_metadata(root.join(path)).unwrap())
            .map(|found| (found.mode() & 0o7777, found.nlink()))
            .collect()
    }

    #[test]
    fn copy_keeps_modes_links_and_symlinks() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("sealed")).unwrap();
        fs::write(from.join("sealed/file"), "text").unwrap();
        fs::hard_link(from.join("sealed/file"), from.join("name")).unwrap();
        fs::set_permissions(from.join("name"), Permissions::from_mode(0o000)).unwrap();
        symlink("name", from.join("symlink")).unwrap();
        fs::set_permissions(from.join("sealed"), Permissions::from_mode(0o500)).unwrap();
        let expected = modes(&from);
        copy(&from, &to, &mut BTreeMap::new()).unwrap();
        assert_eq!(modes(&to), expected);
        assert_eq!(
            fs::read_link(to.join("symlink")).unwrap(),
            Path::new("name")
        );
        fs::set_permissions(to.join("name"), Permissions::from_mode(0o400)).unwrap();
        assert_eq!(fs::read_to_string(to.join("name")).unwrap(), "text");
    }

    #[test]
    fn move_directory_replaces_an_older_one() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("states/to"));
        for (path, name) in [(&to, "old"), (&from, "new")] {
            fs::create_dir_all(path).unwrap();
            fs::write(path.join(name), "").unwrap();
        }
        move_directory(&from, &to).unwrap();
        assert!(to.join("new").exists());
        assert!(!to.join("old").exists() && !from.exists());
    }
}
