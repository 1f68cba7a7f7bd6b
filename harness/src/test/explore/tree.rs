//! What is in a directory, kept in memory, so that it can be had again and again.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// All that is below a directory, by path relative to it; folders before what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Tree(pub(super) BTreeMap<PathBuf, Entry>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    /// A file's bytes, and its rights.
    File(Vec<u8>, u32),
    Folder(u32),
    /// Where a link leads.
    Link(PathBuf),
}

impl Tree {
    /// Reads all that is below `root`. What is neither file, folder nor link is left out.
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.add(root, Path::new(""))?;
        Ok(tree)
    }

    fn add(&mut self, root: &Path, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(root.join(folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let metadata = entry.metadata()?;
            let rights = metadata.permissions().mode() & 0o7777;
            if metadata.is_dir() {
                self.0.insert(path.clone(), Entry::Folder(rights));
                self.add(root, &path)?;
            } else if metadata.is_symlink() {
                let to = fs::read_link(entry.path())?;
                self.0.insert(path, Entry::Link(to));
            } else if metadata.is_file() {
                let bytes = fs::read(entry.path())?;
                self.0.insert(path, Entry::File(bytes, rights));
            }
        }
        Ok(())
    }

    /// Makes a directory that has this in it and nothing else, in the place of whatever is there.
    pub(super) fn write(&self, root: &Path) -> io::Result<()> {
        crate::os::removal::remove(root)?;
        fs::create_dir(root)?;
        for (path, entry) in &self.0 {
            let path = root.join(path);
            match entry {
                Entry::File(bytes, rights) => {
                    fs::write(&path, bytes)?;
                    fs::set_permissions(&path, Permissions::from_mode(*rights))?;
                }
                Entry::Folder(_) => fs::create_dir(&path)?,
                Entry::Link(to) => symlink(to, &path)?,
            }
        }
        // Last: one may be without the right to write.
        for (path, entry) in self.0.iter().rev() {
            if let Entry::Folder(rights) = entry {
                fs::set_permissions(root.join(path), Permissions::from_mode(*rights))?;
            }
        }
        Ok(())
    }

    /// The same without rights: the names, what is in the files, where links lead.
    pub(super) fn contents(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        use std::os::unix::ffi::OsStrExt as _;
        let content = |entry: &Entry| match entry {
            Entry::File(bytes, _) => Some(bytes.clone()),
            Entry::Folder(_) => None,
            Entry::Link(to) => Some(to.as_os_str().as_bytes().to_vec()),
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
    fn what_was_read_is_written_with_rights_and_links() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("folder")).unwrap();
        fs::write(from.join("folder/file"), "bytes").unwrap();
        fs::set_permissions(from.join("folder/file"), Permissions::from_mode(0o600)).unwrap();
        symlink("folder/file", from.join("link")).unwrap();
        fs::set_permissions(from.join("folder"), Permissions::from_mode(0o500)).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(to.join("old"), "").unwrap();
        let tree = Tree::read(&from).unwrap();
        tree.write(&to).unwrap();
        assert_eq!(Tree::read(&to).unwrap(), tree);
        assert_eq!(tree.0.len(), 3);
    }
}
