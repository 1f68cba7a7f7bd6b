//! Reads and writes the content of a real directory.

use crate::os::directory;
use crate::syscalls::file_status::{FileStatus, Identity};
use clarity_chaos_disk::{Entry, File, Snapshot, SnapshotBuilder};
use std::collections::BTreeMap;
use std::fs::{self, FileTimes, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
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

    /// Lists the paths of all files by identity, if the directory `root` has this content.
    pub(super) fn identities(&self, root: &Path) -> BTreeMap<Identity, PathBuf> {
        let paths = self.snapshot.entries().map(|(path, _)| path);
        [Path::new("")]
            .into_iter()
            .chain(paths)
            .filter_map(|path| {
                let found = FileStatus::at(&root.join(path))?;
                Some((found.identity, path.to_owned()))
            })
            .collect()
    }

    /// Creates the directory `root` with exactly this content. Replaces an existing file or
    /// directory.
    pub(super) fn write(&self, root: &Path) -> io::Result<()> {
        self.write_state(&self.snapshot, root)
    }

    /// Creates the directory `root` with the content of `snapshot`. Files that are the same as in
    /// this content keep their times, unless the snapshot has others. Replaces an existing file or
    /// directory.
    pub(super) fn write_state(&self, snapshot: &Snapshot, root: &Path) -> io::Result<()> {
        write(snapshot, root, |path, number| {
            let set = snapshot.modified(number);
            if let Some(time) = set {
                return Some(FileTimes::new().set_modified(time));
            }
            let is_same = match self.snapshot.entry(path) {
                Some(Entry::File(other)) => self.snapshot.file(*other) == snapshot.file(number),
                _ => false,
            };
            self.times.get(path).filter(|_| is_same).copied()
        })
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
        let bytes = Arc::new(read_file(found, mode).map_err(with_path("read", found))?);
        let number = self.builder.file(path, File { bytes, mode });
        if metadata.nlink() > 1 {
            self.links.insert(identity, number);
        }
        Ok(())
    }
}

/// Reads a file, even if its mode forbids the owner to read it.
fn read_file(path: &Path, mode: u32) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            fs::set_permissions(path, Permissions::from_mode(mode | 0o400))?;
            let bytes = fs::read(path);
            fs::set_permissions(path, Permissions::from_mode(mode))?;
            bytes
        }
        read => read,
    }
}

/// Creates the directory `root` with exactly this content. Sets the times that `times` returns.
/// Replaces an existing file or directory.
fn write(
    snapshot: &Snapshot,
    root: &Path,
    times: impl Fn(&Path, usize) -> Option<FileTimes>,
) -> io::Result<()> {
    directory::remove(root).map_err(with_path("remove", root))?;
    fs::create_dir(root).map_err(with_path("create", root))?;
    let mut written: BTreeMap<usize, PathBuf> = BTreeMap::new();
    for (relative, entry) in snapshot.entries() {
        let path = root.join(relative);
        let create = || match entry {
            Entry::File(number) => match written.get(number) {
                Some(other) => fs::hard_link(other, &path),
                None => {
                    let file = snapshot.file(*number);
                    let mut created = fs::File::create_new(&path)?;
                    created.write_all(&file.bytes)?;
                    if let Some(times) = times(relative, *number) {
                        created.set_times(times)?;
                    }
                    created.set_permissions(Permissions::from_mode(file.mode))
                }
            },
            Entry::Directory(_) => fs::create_dir(&path),
            Entry::Symlink(target) => symlink(target, &path),
        };
        create().map_err(with_path("create", &path))?;
        if let Entry::File(number) = entry {
            written.entry(*number).or_insert(path);
        }
    }
    // Sets the modes of directories last, the deepest first: a directory may forbid writing.
    let entries: Vec<(&Path, &Entry)> = snapshot.entries().collect();
    for (path, entry) in entries.into_iter().rev() {
        if let Entry::Directory(mode) = entry {
            let path = root.join(path);
            fs::set_permissions(&path, Permissions::from_mode(*mode))
                .map_err(with_path("set the mode of", &path))?;
        }
    }
    Ok(())
}

fn with_path<'a>(verb: &'a str, path: &'a Path) -> impl Fn(io::Error) -> io::Error + 'a {
    move |error| {
        let text = format!("cannot {verb} {}: {error}", path.display());
        io::Error::new(error.kind(), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        content.write(&to).unwrap();
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
