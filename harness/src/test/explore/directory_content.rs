//! Reads the content of a real directory.

use super::sparse_file;
use crate::os::directory;
use crate::syscalls::file_status::{FileStatus, Identity};
use clarity_chaos_disk::{Entry, File, Snapshot, SnapshotBuilder, SparseBytes};
use std::collections::BTreeMap;
use std::fs::{self, FileTimes, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The content of a directory with the times of its files.
#[derive(Debug)]
pub(super) struct DirectoryContent {
    pub(super) snapshot: Snapshot,
    /// The first device, FIFO or socket, which the snapshot does not contain.
    pub(super) special: Option<PathBuf>,
    /// The times of modification of all files.
    pub(super) modified: BTreeMap<PathBuf, SystemTime>,
    times: BTreeMap<PathBuf, FileTimes>,
}

impl DirectoryContent {
    /// Reads everything below `root`, except for devices, FIFOs and sockets.
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let mut reader = Reader::default();
        reader.add(root, Path::new(""))?;
        Ok(Self {
            snapshot: reader.builder.build(),
            special: reader.special,
            times: reader.times,
            modified: reader.modified,
        })
    }

    /// Returns the times of the file at this path, if the path and the file are those of this
    /// content.
    pub(super) fn times(&self, path: &Path, file: &File) -> Option<FileTimes> {
        let is_same = match self.snapshot.entry(path) {
            Some(Entry::File(number)) => self.snapshot.file(*number) == file,
            _ => false,
        };
        self.times.get(path).filter(|_| is_same).copied()
    }
}

#[derive(Default)]
struct Reader {
    builder: SnapshotBuilder,
    times: BTreeMap<PathBuf, FileTimes>,
    modified: BTreeMap<PathBuf, SystemTime>,
    special: Option<PathBuf>,
    /// The numbers of files that can have other names, by device and inode.
    links: BTreeMap<(u64, u64), usize>,
}

impl Reader {
    fn add(&mut self, root: &Path, directory: &Path) -> io::Result<()> {
        let here = root.join(directory);
        for name in directory::entry_names(&here).map_err(with_path("list", &here))? {
            let path = directory.join(name);
            let found = root.join(&path);
            let metadata = fs::symlink_metadata(&found).map_err(with_path("look at", &found))?;
            let mode = metadata.permissions().mode() & 0o7777;
            if metadata.is_dir() {
                self.builder.directory(path.clone(), mode);
                self.add(root, &path)?;
            } else if metadata.is_symlink() {
                let target = fs::read_link(&found).map_err(with_path("read", &found))?;
                self.builder.symlink(path, target);
            } else if metadata.is_file() {
                self.add_file(&found, path, &metadata)?;
            } else {
                self.special.get_or_insert(path);
            }
        }
        Ok(())
    }

    fn add_file(&mut self, found: &Path, path: PathBuf, metadata: &Metadata) -> io::Result<()> {
        let times = FileTimes::new().set_accessed(metadata.accessed()?);
        let times = times.set_modified(metadata.modified()?);
        self.times.insert(path.clone(), times);
        self.modified.insert(path.clone(), metadata.modified()?);
        let identity = (metadata.dev(), metadata.ino());
        if let Some(number) = self.links.get(&identity) {
            self.builder.link(path, *number);
            return Ok(());
        }
        let mode = metadata.permissions().mode() & 0o7777;
        let bytes = read_file(found, mode).map_err(with_path("read", found))?;
        let number = self.builder.file(path, File { bytes, mode });
        if metadata.nlink() > 1 {
            self.links.insert(identity, number);
        }
        Ok(())
    }
}

/// Reads a file, even if its mode forbids the owner to read it.
fn read_file(path: &Path, mode: u32) -> io::Result<SparseBytes> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            fs::set_permissions(path, Permissions::from_mode(mode | 0o400))?;
            let file = fs::File::open(path);
            fs::set_permissions(path, Permissions::from_mode(mode))?;
            file
        }
        opened => opened,
    }?;
    sparse_file::read(&file)
}

/// Lists the paths of all files by identity, if the directory `root` has this content.
pub(super) fn identities(content: &Snapshot, root: &Path) -> BTreeMap<Identity, PathBuf> {
    let paths = content.entries().map(|(path, _)| path);
    [Path::new("")]
        .into_iter()
        .chain(paths)
        .filter_map(|path| {
            let found = FileStatus::at(&root.join(path))?;
            Some((found.identity, path.to_owned()))
        })
        .collect()
}

/// Adds the path to the error of a call. `verb` says what the call would do.
pub(super) fn with_path<'a>(verb: &'a str, path: &'a Path) -> impl Fn(io::Error) -> io::Error + 'a {
    move |error| {
        let text = format!("cannot {verb} {}: {error}", path.display());
        io::Error::new(error.kind(), text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::state_directory::StateDirectory;
    use super::*;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    #[test]
    fn written_content_equals_the_read_content() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("directory")).unwrap();
        let file = from.join("directory/file");
        fs::write(&file, "bytes").unwrap();
        fs::hard_link(&file, from.join("name")).unwrap();
        let old = SystemTime::now() - Duration::from_secs(1000);
        fs::File::open(&file).unwrap().set_modified(old).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        fs::write(from.join("unreadable"), "secret").unwrap();
        fs::set_permissions(from.join("unreadable"), Permissions::from_mode(0o000)).unwrap();
        symlink("directory/file", from.join("link")).unwrap();
        fs::set_permissions(from.join("directory"), Permissions::from_mode(0o500)).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(to.join("old"), "").unwrap();

        let content = DirectoryContent::read(&from).unwrap();
        let mut directory = StateDirectory::new(to.clone());
        directory.write(&content.snapshot, &content, true).unwrap();
        let written = DirectoryContent::read(&to).unwrap();
        assert_eq!(written.snapshot, content.snapshot);
        assert_eq!(content.snapshot.entries().count(), 5);
        let modified = |root: &Path| {
            let found = fs::metadata(root.join("directory/file")).unwrap();
            (found.modified().unwrap(), found.nlink())
        };
        assert_eq!(modified(&to), modified(&from));
        assert_eq!(modified(&to).1, 2);
    }
}
