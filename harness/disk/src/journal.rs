//! The journal of a program's changes to a file system.

use crate::file_system::{FileSystem, Node, NodeId, Slot};
use crate::snapshot::Snapshot;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The journal of a program's calls, and the file system that the program sees.
///
/// Each method is the effect of one call, or a part of it; [`end_call`](Self::end_call) ends a
/// call. A call that fails has no effect, so it needs no method.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The file system before the first call. Nodes that calls create have no name in it.
    pub(crate) before: FileSystem,
    /// The file system after all calls, as the program sees it.
    pub(crate) live: FileSystem,
    pub(crate) log: Vec<Logged>,
    calls: usize,
}

/// A change or a sync, and the index of its call.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) call: usize,
    pub(crate) event: Event,
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A change of metadata. Each call makes at most one.
    Metadata(Vec<Part>),
    Write {
        file: NodeId,
        offset: usize,
        bytes: Arc<[u8]>,
        /// Whether the write makes the file longer.
        grows: bool,
        /// Whether the write is a store through a mapping, which has no end.
        is_store: bool,
    },
    Sync {
        node: NodeId,
        kind: SyncKind,
        /// The bytes that are synced, if not all.
        range: Option<Range<usize>>,
    },
    FailedSync {
        node: NodeId,
        /// The bytes whose sync fails, if not all.
        range: Option<Range<usize>>,
    },
    SyncAll,
}

/// A part of a change of metadata.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// Sets or removes an entry of a directory.
    Entry {
        slot: Slot,
        node: Option<NodeId>,
        /// The node that the entry named before.
        previous: Option<NodeId>,
        /// Whether the call created the node.
        creates: bool,
    },
    Size {
        file: NodeId,
        length: usize,
    },
    Mode {
        node: NodeId,
        mode: u32,
    },
    /// Creates a file without a name.
    Unnamed {
        node: NodeId,
    },
    /// Sets the time of modification. `None` stands for that of the last write.
    Times {
        node: NodeId,
        modified: Option<SystemTime>,
    },
}

impl Part {
    pub(crate) fn is_size(&self) -> bool {
        matches!(self, Self::Size { .. })
    }

    /// Returns the new length if the part sets that of this file.
    pub(crate) fn size_of(&self, wanted: NodeId) -> Option<usize> {
        match self {
            Self::Size { file, length } if *file == wanted => Some(*length),
            _ => None,
        }
    }
}

/// The kind of a sync of one file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncKind {
    /// `fdatasync`, or a write with `O_DSYNC`.
    Data,
    /// `fsync`, or a write with `O_SYNC`.
    Full,
}

impl Journal {
    /// Starts a journal at this content.
    #[must_use]
    pub fn new(before: &Snapshot) -> Self {
        let disk = FileSystem::from_snapshot(before);
        Self {
            before: disk.clone(),
            live: disk,
            log: Vec::new(),
            calls: 0,
        }
    }

    /// Ends a call. Later effects belong to the next call.
    pub fn end_call(&mut self) {
        self.calls += 1;
    }

    /// Returns the number of ended calls.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Returns the content that the program sees after the effects so far.
    #[must_use]
    pub fn live(&self) -> Snapshot {
        self.live.to_snapshot(|_, file| file.bytes.clone())
    }

    /// Returns the events of the first `calls` calls.
    pub(crate) fn until(&self, calls: usize) -> &[Logged] {
        let end = self.log.partition_point(|logged| logged.call < calls);
        &self.log[..end]
    }

    /// Returns the node at this path. Does not follow a symlink at the end of the path.
    #[must_use]
    pub fn find(&self, path: &Path) -> Option<NodeId> {
        self.live.find(path)
    }

    /// Returns the node at this path. Follows a symlink at the end of the path.
    #[must_use]
    pub fn follow(&self, path: &Path) -> Option<NodeId> {
        self.live.follow(path)
    }

    /// Returns the length of a file, in bytes, or `None` if the node is not a file.
    #[must_use]
    pub fn length(&self, node: NodeId) -> Option<usize> {
        self.live.file(node).map(|file| file.bytes.len())
    }

    /// Whether the node is a directory.
    #[must_use]
    pub fn is_directory(&self, node: NodeId) -> bool {
        matches!(self.live.node(node), Node::Directory { .. })
    }

    /// Returns the time of modification of a file, if a call has set it after the last write.
    #[must_use]
    pub fn modified(&self, node: NodeId) -> Option<SystemTime> {
        self.live.modified(node)
    }

    /// Returns the mode of a file or directory, or `None` if the node is a symlink.
    #[must_use]
    pub fn mode(&self, node: NodeId) -> Option<u32> {
        match self.live.node(node) {
            Node::File(file) => Some(file.mode),
            Node::Directory { mode, .. } => Some(*mode),
            Node::Symlink(_) => None,
        }
    }

    /// Creates an empty file. Returns `None` if the path exists, or its directory does not.
    pub fn create(&mut self, path: &Path, mode: u32) -> Option<NodeId> {
        self.add(path, Node::file(mode))
    }

    /// Creates a directory. Returns `None` if the path exists, or its parent does not.
    pub fn make_directory(&mut self, path: &Path, mode: u32) -> Option<NodeId> {
        self.add(path, Node::directory(mode))
    }

    /// Creates a symlink. Returns `None` if the path exists, or its directory does not.
    pub fn symlink(&mut self, target: PathBuf, path: &Path) -> Option<NodeId> {
        self.add(path, Node::Symlink(target))
    }

    fn add(&mut self, path: &Path, node: Node) -> Option<NodeId> {
        let slot = self.live.slot(path)?;
        if self.live.entry(&slot).is_some() {
            return None;
        }
        self.before.add(node.clone());
        let node = self.live.add(node);
        self.log_metadata(vec![Part::Entry {
            slot,
            node: Some(node),
            previous: None,
            creates: true,
        }]);
        Some(node)
    }

    /// Writes bytes at this offset of a file, in bytes.
    pub fn write(&mut self, file: NodeId, offset: usize, bytes: &[u8]) {
        let Some(length) = self.length(file).filter(|_| !bytes.is_empty()) else {
            return;
        };
        self.log(Event::Write {
            file,
            offset,
            grows: offset + bytes.len() > length,
            is_store: false,
            bytes: bytes.into(),
        });
    }

    /// Sets the length of a file, in bytes.
    pub fn resize(&mut self, file: NodeId, length: usize) {
        if self.length(file).is_some() {
            self.log_metadata(vec![Part::Size { file, length }]);
        }
    }

    /// Sets the mode of a file or directory.
    pub fn set_mode(&mut self, node: NodeId, mode: u32) {
        self.log_metadata(vec![Part::Mode { node, mode }]);
    }

    /// Sets the times or the owner of a file or directory. A snapshot shows the time of
    /// modification of a file until the next write. `None` stands for the time of the last write.
    pub fn set_times(&mut self, node: NodeId, modified: Option<SystemTime>) {
        self.log_metadata(vec![Part::Times { node, modified }]);
    }

    /// Removes a name of a file or symlink. Does nothing if the path is a directory.
    pub fn unlink(&mut self, path: &Path) {
        if self.find(path).is_some_and(|node| !self.is_directory(node)) {
            self.remove(path);
        }
    }

    /// Removes a directory. Does nothing unless the path is an empty directory.
    pub fn remove_directory(&mut self, path: &Path) {
        let is_removed = |node| self.is_directory(node) && self.live.is_empty(node);
        if self.find(path).is_some_and(is_removed) {
            self.remove(path);
        }
    }

    /// Removes an entry, with all entries below it.
    pub fn remove(&mut self, path: &Path) {
        if let Some(slot) = self.live.slot(path)
            && self.live.entry(&slot).is_some()
        {
            self.log_metadata(vec![self.entry(slot, None)]);
        }
    }

    /// Renames an entry. With `exchange`, exchanges the nodes of the two entries. Does nothing
    /// where rename(2) does nothing or fails.
    pub fn rename(&mut self, from: &Path, to: &Path, exchange: bool) {
        let Some((from, to)) = self.live.slot(from).zip(self.live.slot(to)) else {
            return;
        };
        let Some(node) = self.live.entry(&from) else {
            return;
        };
        let other = self.live.entry(&to);
        // If both are names of the same file, rename(2) does nothing.
        if other == Some(node) || self.live.contains(node, to.directory) {
            return;
        }
        let is_allowed = match other {
            Some(other) if exchange => !self.live.contains(other, from.directory),
            Some(other) => {
                self.is_directory(node) == self.is_directory(other) && self.live.is_empty(other)
            }
            None => !exchange,
        };
        if is_allowed {
            let parts = vec![
                self.entry(from, other.filter(|_| exchange)),
                self.entry(to, Some(node)),
            ];
            self.log_metadata(parts);
        }
    }

    /// Syncs a file or directory.
    pub fn sync(&mut self, node: NodeId, kind: SyncKind) {
        self.log(Event::Sync {
            node,
            kind,
            range: None,
        });
    }

    /// Syncs the pages of a file with these bytes, as `msync` does, or a write with `O_SYNC` or
    /// `O_DSYNC`.
    ///
    /// Brings no other bytes of the file. Metadata is as after [`sync`](Self::sync). An empty range
    /// syncs nothing.
    pub fn sync_range(&mut self, file: NodeId, kind: SyncKind, range: Range<usize>) {
        if !range.is_empty() {
            self.log(Event::Sync {
                node: file,
                kind,
                range: Some(range),
            });
        }
    }

    /// Fails to sync a file or directory.
    pub fn fail_sync(&mut self, node: NodeId) {
        self.log(Event::FailedSync { node, range: None });
    }

    /// Fails to sync the whole file system.
    pub fn fail_sync_all(&mut self) {
        for node in self.live.nodes() {
            self.fail_sync(node);
        }
    }

    /// Syncs the whole file system.
    pub fn sync_all(&mut self) {
        self.log(Event::SyncAll);
    }

    pub(crate) fn entry(&self, slot: Slot, node: Option<NodeId>) -> Part {
        Part::Entry {
            previous: self.live.entry(&slot),
            slot,
            node,
            creates: false,
        }
    }

    pub(crate) fn log_metadata(&mut self, parts: Vec<Part>) {
        self.log(Event::Metadata(parts));
    }

    pub(crate) fn log(&mut self, event: Event) {
        self.live.apply(&event);
        self.log.push(Logged {
            call: self.calls,
            event,
        });
    }
}

impl FileSystem {
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Metadata(parts) => parts.iter().for_each(|part| self.apply_part(part)),
            Event::Write {
                file,
                offset,
                bytes,
                ..
            } => self.write(*file, *offset, bytes),
            Event::Sync { .. } | Event::FailedSync { .. } | Event::SyncAll => {}
        }
    }

    /// Removes the name that the part replaces.
    pub(crate) fn remove_replaced(&mut self, part: &Part) {
        if let Part::Entry { slot, .. } = part {
            self.set(slot, None);
        }
    }

    pub(crate) fn apply_part(&mut self, part: &Part) {
        match part {
            Part::Entry { slot, node, .. } => {
                self.set(slot, *node);
            }
            Part::Size { file, length } => self.resize(*file, *length),
            Part::Mode { node, mode } => self.set_mode(*node, *mode),
            Part::Times { node, modified } => self.set_modified(*node, *modified),
            Part::Unnamed { .. } => {}
        }
    }
}
