//! The content of a directory tree, in memory.

use crate::sparse_bytes::SparseBytes;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The files, directories and symlinks below a directory, by relative path.
///
/// Two snapshots are equal if their trees are: the same paths, bytes, modes, hard links and set
/// times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Snapshot {
    entries: BTreeMap<PathBuf, Entry>,
    /// The files, numbered in the order of their first paths.
    files: Vec<File>,
    /// The times of modification that a call has set, by the number of the file.
    modified: BTreeMap<usize, SystemTime>,
}

/// An entry of a snapshot. A mode is the lower 12 bits of `st_mode`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// A name of the file with this number. Several names of one file are hard links.
    File(usize),
    /// A directory with its mode.
    Directory(u32),
    /// A symlink with its target.
    Symlink(PathBuf),
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct File {
    /// The content.
    pub bytes: SparseBytes,
    /// The lower 12 bits of `st_mode`.
    pub mode: u32,
}

impl Snapshot {
    /// Returns all entries. Directories come before their content.
    pub fn entries(&self) -> impl Iterator<Item = (&Path, &Entry)> {
        self.entries
            .iter()
            .map(|(path, entry)| (path.as_path(), entry))
    }

    /// Returns the entry at this path.
    #[must_use]
    pub fn entry(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Returns the file with this number.
    ///
    /// # Panics
    ///
    /// When no entry of the snapshot has this number.
    #[must_use]
    pub fn file(&self, number: usize) -> &File {
        &self.files[number]
    }

    /// Returns the time of modification of the file with this number, if a call has set it after
    /// the last write.
    #[must_use]
    pub fn modified(&self, number: usize) -> Option<SystemTime> {
        self.modified.get(&number).copied()
    }

    /// Returns this content with other bytes of the file at this path. Without a file at the path,
    /// returns the same content.
    #[must_use]
    pub fn with_bytes(mut self, path: &Path, bytes: SparseBytes) -> Self {
        if let Some(Entry::File(number)) = self.entries.get(path) {
            self.files[*number].bytes = bytes;
        }
        self
    }

    /// Returns this content without the entry at this path, which is no directory.
    #[must_use]
    pub fn without(mut self, path: &Path) -> Self {
        self.entries.remove(path);
        SnapshotBuilder {
            entries: self.entries,
            files: self.files,
            modified: self.modified,
        }
        .build()
    }
}

/// Builds a snapshot from entries in any order.
#[derive(Debug, Default)]
pub struct SnapshotBuilder {
    entries: BTreeMap<PathBuf, Entry>,
    files: Vec<File>,
    modified: BTreeMap<usize, SystemTime>,
}

impl SnapshotBuilder {
    /// Adds a directory with this mode.
    pub fn directory(&mut self, path: PathBuf, mode: u32) {
        self.entries.insert(path, Entry::Directory(mode));
    }

    /// Adds a symlink with this target.
    pub fn symlink(&mut self, path: PathBuf, target: PathBuf) {
        self.entries.insert(path, Entry::Symlink(target));
    }

    /// Adds a file, and returns its number in this builder.
    pub fn file(&mut self, path: PathBuf, file: File) -> usize {
        self.files.push(file);
        let number = self.files.len() - 1;
        self.link(path, number);
        number
    }

    /// Adds another name of the file with this number in this builder.
    pub fn link(&mut self, path: PathBuf, number: usize) {
        self.entries.insert(path, Entry::File(number));
    }

    /// Sets the time of modification of the file with this number in this builder.
    pub fn set_modified(&mut self, number: usize, time: SystemTime) {
        self.modified.insert(number, time);
    }

    /// Returns the snapshot.
    ///
    /// # Panics
    ///
    /// When [`link`](Self::link) got a number that [`file`](Self::file) did not return.
    #[must_use]
    pub fn build(mut self) -> Snapshot {
        let mut numbers = BTreeMap::new();
        let mut files = Vec::new();
        let mut modified = BTreeMap::new();
        for entry in self.entries.values_mut() {
            if let Entry::File(number) = entry {
                *number = *numbers.entry(*number).or_insert_with(|| {
                    files.push(self.files[*number].clone());
                    let new = files.len() - 1;
                    modified.extend(self.modified.get(number).map(|time| (new, *time)));
                    new
                });
            }
        }
        Snapshot {
            entries: self.entries,
            files,
            modified,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File {
            bytes: text.as_bytes().into(),
            mode: 0o644,
        }
    }

    #[test]
    fn snapshots_are_equal_in_any_order_of_entries() {
        let mut first = SnapshotBuilder::default();
        first.file("a".into(), file("1"));
        first.file("b".into(), file("2"));
        let mut second = SnapshotBuilder::default();
        second.file("b".into(), file("2"));
        second.file("a".into(), file("1"));
        assert_eq!(first.build(), second.build());
    }

    #[test]
    fn hard_links_differ_from_equal_files() {
        let mut linked = SnapshotBuilder::default();
        let number = linked.file("b".into(), file("1"));
        linked.link("a".into(), number);
        let mut copied = SnapshotBuilder::default();
        copied.file("a".into(), file("1"));
        copied.file("b".into(), file("1"));
        assert_ne!(linked.build(), copied.build());
    }
}
