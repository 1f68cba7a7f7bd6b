//! Writes states to the directory of an exploration.

use super::directory_content::{DirectoryContent, with_path};
use super::sparse_file::{self, Patch};
use crate::os::directory;
use clarity_chaos_disk::{Entry, Snapshot};
use rustix::fs::{
    AtFlags, CWD, Timespec, Timestamps, flistxattr, llistxattr, llistxattr_query, utimensat,
};
use rustix::io::Errno;
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, FileTimes, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The attribute that SELinux gives to each new file.
const SELINUX: &[u8] = b"security.selinux\0";

/// The directory that an operation and its invariant get.
///
/// A state that reuses entries is the same as one that is written anew, except for the numbers of
/// inodes and their times of birth and of change.
// Nothing but the bytes proves that a file is unchanged: its times can be set, and a mapping of a
// file on tmpfs does not change them. Reading the bytes costs less than writing them.
#[derive(Debug)]
pub(super) struct StateDirectory {
    path: PathBuf,
    /// The time of all entries that the initial content does not have.
    time: SystemTime,
    /// The directory as it was created.
    created: Option<Metadata>,
}

impl StateDirectory {
    /// Does not create the directory yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            time: SystemTime::now(),
            created: None,
        }
    }

    /// Gives the directory exactly this content. Files that are the same as in `before` have the
    /// times that they have there.
    ///
    /// If `reuses` is set, leaves alone the entries that are the same already. Then no process may
    /// have the directory in use.
    pub(super) fn write(
        &mut self,
        state: &Snapshot,
        before: &DirectoryContent,
        reuses: bool,
    ) -> io::Result<()> {
        let created = match self.created.take().filter(|_| reuses) {
            Some(created) if self.is_intact(&created) => created,
            _ => {
                directory::remove(&self.path).map_err(with_path("remove", &self.path))?;
                fs::create_dir(&self.path).map_err(with_path("create", &self.path))?;
                fs::symlink_metadata(&self.path)?
            }
        };
        let mut writer = Writer {
            root: &self.path,
            state,
            before,
            created: &created,
            time: self.time,
            kept: HashSet::new(),
            files: BTreeMap::new(),
        };
        writer.keep(Path::new(""))?;
        writer.keep_files()?;
        writer.create()?;
        writer.finish()?;
        self.created = Some(created);
        Ok(())
    }

    /// Whether the root of the directory is as it was created.
    fn is_intact(&self, created: &Metadata) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| {
            let identity = |root: &Metadata| (root.dev(), root.ino(), root.mode());
            identity(&found) == identity(created)
                && is_like(&found, created)
                && has_no_attributes(&self.path)
        })
    }
}

/// Writes one state.
struct Writer<'a> {
    root: &'a Path,
    state: &'a Snapshot,
    before: &'a DirectoryContent,
    /// The root as it was created.
    created: &'a Metadata,
    time: SystemTime,
    /// The entries that are there already.
    kept: HashSet<PathBuf>,
    /// The names of files that may be there already, by the number of the file.
    files: BTreeMap<usize, Vec<(PathBuf, Metadata)>>,
}

impl Writer<'_> {
    /// Removes the entries below `directory` that the state does not have. Keeps directories and
    /// symlinks, and finds the files that may be kept.
    fn keep(&mut self, directory: &Path) -> io::Result<()> {
        let here = self.root.join(directory);
        for name in directory::entry_names(&here).map_err(with_path("list", &here))? {
            let relative = directory.join(name);
            let path = self.root.join(&relative);
            let found = fs::symlink_metadata(&path).map_err(with_path("look at", &path))?;
            let is_like = is_like(&found, self.created);
            match self.state.entry(&relative) {
                Some(Entry::File(number)) if is_like && found.is_file() => {
                    let names = self.files.entry(*number).or_default();
                    names.push((relative, found));
                }
                Some(Entry::Directory(_))
                    if is_like && found.is_dir() && has_no_attributes(&path) =>
                {
                    // The owner may have no permission to change the entries.
                    if found.mode() & 0o700 != 0o700 {
                        let mode = Permissions::from_mode(found.mode() & 0o7777 | 0o700);
                        fs::set_permissions(&path, mode)
                            .map_err(with_path("set the mode of", &path))?;
                    }
                    self.kept.insert(relative.clone());
                    self.keep(&relative)?;
                }
                Some(Entry::Symlink(target))
                    if is_like
                        && found.is_symlink()
                        && found.nlink() == 1
                        && has_no_attributes(&path)
                        && fs::read_link(&path).is_ok_and(|found| found == *target) =>
                {
                    self.kept.insert(relative);
                }
                _ => directory::remove(&path).map_err(with_path("remove", &path))?,
            }
        }
        Ok(())
    }

    /// Gives files that are there the bytes, modes and times of the state. Removes those that
    /// cannot be the state's.
    fn keep_files(&mut self) -> io::Result<()> {
        let mut names: BTreeMap<usize, usize> = BTreeMap::new();
        for (_, entry) in self.state.entries() {
            if let Entry::File(number) = entry {
                *names.entry(*number).or_default() += 1;
            }
        }
        for (number, found) in std::mem::take(&mut self.files) {
            let (first, metadata) = &found[0];
            let identity = |found: &Metadata| (found.dev(), found.ino());
            // With another name somewhere else, the file is not only the state's.
            let are_all = found.len() == names[&number]
                && metadata.nlink() == found.len() as u64
                && found
                    .iter()
                    .all(|(_, other)| identity(other) == identity(metadata));
            if are_all && self.patch(first, metadata, number).is_ok_and(|kept| kept) {
                self.kept.extend(found.into_iter().map(|(path, _)| path));
            } else {
                for (path, _) in found {
                    let path = self.root.join(path);
                    fs::remove_file(&path).map_err(with_path("remove", &path))?;
                }
            }
        }
        Ok(())
    }

    /// Makes a file that is there the state's. Returns whether the file can be kept.
    fn patch(&self, path: &Path, metadata: &Metadata, number: usize) -> io::Result<bool> {
        let wanted = self.state.file(number);
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(self.root.join(path))?;
        let mut list = Vec::with_capacity(SELINUX.len() + 1);
        if !is_plain(
            flistxattr(&opened, rustix::buffer::spare_capacity(&mut list)),
            &list,
        ) {
            return Ok(false);
        }
        let patch = sparse_file::patch(&opened, &wanted.bytes)?;
        // A write can clear bits of the mode.
        if patch == Patch::Changed || metadata.mode() & 0o7777 != wanted.mode {
            opened.set_permissions(Permissions::from_mode(wanted.mode))?;
        }
        opened.set_times(self.times(path, number))?;
        Ok(patch != Patch::Refused)
    }

    /// Creates the entries that are missing.
    fn create(&mut self) -> io::Result<()> {
        let mut written: BTreeMap<usize, PathBuf> = BTreeMap::new();
        for (relative, entry) in self.state.entries() {
            if self.kept.contains(relative) {
                continue;
            }
            let path = self.root.join(relative);
            let create = || match entry {
                Entry::File(number) => match written.get(number) {
                    Some(other) => fs::hard_link(other, &path),
                    None => {
                        let file = self.state.file(*number);
                        let created = fs::File::create_new(&path)?;
                        sparse_file::fill(&created, &file.bytes)?;
                        created.set_times(self.times(relative, *number))?;
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
        Ok(())
    }

    /// Returns the times of the file with this number, which has its first name at `path`.
    fn times(&self, path: &Path, number: usize) -> FileTimes {
        let times = FileTimes::new().set_accessed(self.time);
        if let Some(set) = self.state.modified(number) {
            return times.set_modified(set);
        }
        let known = self.before.times(path, self.state.file(number));
        known.unwrap_or_else(|| times.set_modified(self.time))
    }

    /// Sets the times of directories and symlinks, and the modes of directories. The deepest come
    /// first: a directory may forbid writing.
    fn finish(&self) -> io::Result<()> {
        let since = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = Timespec::try_from(since).map_err(io::Error::other)?;
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        let set_times = |path: &Path| {
            utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| with_path("set the times of", path)(error.into()))
        };
        let entries: Vec<(&Path, &Entry)> = self.state.entries().collect();
        for (path, entry) in entries.into_iter().rev() {
            let path = self.root.join(path);
            match entry {
                Entry::File(_) => {}
                Entry::Symlink(_) => set_times(&path)?,
                Entry::Directory(mode) => {
                    set_times(&path)?;
                    fs::set_permissions(&path, Permissions::from_mode(*mode))
                        .map_err(with_path("set the mode of", &path))?;
                }
            }
        }
        set_times(self.root)
    }
}

/// Whether the entry has the owner and the file system of the created root.
fn is_like(found: &Metadata, created: &Metadata) -> bool {
    (found.uid(), found.gid(), found.dev()) == (created.uid(), created.gid(), created.dev())
}

/// Whether the entry has no extended attributes except for those that each new one has.
fn has_no_attributes(path: &Path) -> bool {
    if llistxattr_query(path) == Ok(0) {
        return true;
    }
    let mut list = Vec::with_capacity(SELINUX.len() + 1);
    is_plain(
        llistxattr(path, rustix::buffer::spare_capacity(&mut list)),
        &list,
    )
}

/// Whether a list of attributes has only those that each new entry has.
fn is_plain(listed: Result<usize, Errno>, list: &[u8]) -> bool {
    match listed {
        Ok(_) => list.is_empty() || list == SELINUX,
        Err(error) => error == Errno::NOTSUP,
    }
}

#[cfg(test)]
mod tests;
