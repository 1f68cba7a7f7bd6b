//! A file system in memory.

use crate::snapshot::{Entry, File, Snapshot, SnapshotBuilder};
use crate::sparse_bytes::SparseBytes;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

/// The maximum number of symlinks that are followed on a path.
const MAX_SYMLINKS: usize = 8;

/// The number of a file, directory or symlink. Nodes are never removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

/// The root directory.
pub(crate) const ROOT: NodeId = NodeId(0);

/// The place of an entry: a directory and a name in the directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) directory: NodeId,
    pub(crate) name: OsString,
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    File(File),
    Directory {
        entries: BTreeMap<OsString, NodeId>,
        mode: u32,
    },
    Symlink(PathBuf),
}

impl Node {
    pub(crate) fn file(mode: u32) -> Self {
        Self::File(File {
            bytes: SparseBytes::default(),
            mode,
        })
    }

    pub(crate) fn directory(mode: u32) -> Self {
        Self::Directory {
            entries: BTreeMap::new(),
            mode,
        }
    }
}

/// A file system in memory. Clones share the bytes of files until one clone changes these bytes.
#[derive(Clone, Debug)]
pub(crate) struct FileSystem {
    nodes: Vec<Node>,
    /// The times of modification that calls have set, until the next write.
    modified: BTreeMap<NodeId, SystemTime>,
}

impl FileSystem {
    pub(crate) fn from_snapshot(snapshot: &Snapshot) -> Self {
        let mut disk = Self {
            nodes: vec![Node::directory(0o755)],
            modified: BTreeMap::new(),
        };
        let mut files = BTreeMap::new();
        for (path, entry) in snapshot.entries() {
            let Some(slot) = disk.slot(path) else {
                continue;
            };
            let node = match entry {
                Entry::File(number) => *files
                    .entry(*number)
                    .or_insert_with(|| disk.add(Node::File(snapshot.file(*number).clone()))),
                Entry::Directory(mode) => disk.add(Node::directory(*mode)),
                Entry::Symlink(target) => disk.add(Node::Symlink(target.clone())),
            };
            disk.set(&slot, Some(node));
        }
        disk
    }

    /// Returns the content as a snapshot. `bytes` gives the bytes of each file.
    pub(crate) fn to_snapshot(
        &self,
        mut bytes: impl FnMut(NodeId, &File) -> SparseBytes,
    ) -> Snapshot {
        let mut builder = SnapshotBuilder::default();
        let mut numbers = BTreeMap::new();
        self.visit(&mut |path, node| match &self.nodes[node.0] {
            Node::File(file) => match numbers.get(&node) {
                Some(number) => builder.link(path, *number),
                None => {
                    let bytes = bytes(node, file);
                    let mode = file.mode;
                    let number = builder.file(path, File { bytes, mode });
                    if let Some(time) = self.modified.get(&node) {
                        builder.set_modified(number, *time);
                    }
                    numbers.insert(node, number);
                }
            },
            Node::Directory { mode, .. } => builder.directory(path, *mode),
            Node::Symlink(target) => builder.symlink(path, target.clone()),
        });
        builder.build()
    }

    /// Lists all nodes, also those without a name.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// Lists the files that have a name.
    pub(crate) fn named_files(&self) -> Vec<NodeId> {
        let mut files = BTreeSet::new();
        self.visit(&mut |_, node| {
            if matches!(self.nodes[node.0], Node::File(_)) {
                files.insert(node);
            }
        });
        files.into_iter().collect()
    }

    fn visit(&self, visitor: &mut impl FnMut(PathBuf, NodeId)) {
        self.visit_below(Path::new(""), &mut vec![ROOT], visitor);
    }

    /// Visits the entries below the last of the directories `above`. If changes are lost, a
    /// directory can be inside itself; such an entry is not visited.
    fn visit_below(
        &self,
        path: &Path,
        above: &mut Vec<NodeId>,
        visitor: &mut impl FnMut(PathBuf, NodeId),
    ) {
        let directory = above.last().map(|directory| &self.nodes[directory.0]);
        let Some(Node::Directory { entries, .. }) = directory else {
            return;
        };
        for (name, node) in entries {
            if above.contains(node) {
                continue;
            }
            let path = path.join(name);
            visitor(path.clone(), *node);
            above.push(*node);
            self.visit_below(&path, above, visitor);
            above.pop();
        }
    }

    /// Adds a node that has no name yet.
    pub(crate) fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    pub(crate) fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node.0]
    }

    /// Returns the file, or `None` if the node is a directory or symlink.
    pub(crate) fn file(&self, node: NodeId) -> Option<&File> {
        match &self.nodes[node.0] {
            Node::File(file) => Some(file),
            _ => None,
        }
    }

    fn file_mut(&mut self, node: NodeId) -> Option<&mut File> {
        match &mut self.nodes[node.0] {
            Node::File(file) => Some(file),
            _ => None,
        }
    }

    /// Sets or removes an entry. Returns the node that the entry named before.
    pub(crate) fn set(&mut self, slot: &Slot, node: Option<NodeId>) -> Option<NodeId> {
        let Node::Directory { entries, .. } = &mut self.nodes[slot.directory.0] else {
            return None;
        };
        match node {
            Some(node) => entries.insert(slot.name.clone(), node),
            None => entries.remove(&slot.name),
        }
    }

    pub(crate) fn set_mode(&mut self, node: NodeId, new: u32) {
        match &mut self.nodes[node.0] {
            Node::File(File { mode, .. }) | Node::Directory { mode, .. } => *mode = new,
            Node::Symlink(_) => {}
        }
    }

    pub(crate) fn modified(&self, file: NodeId) -> Option<SystemTime> {
        self.modified.get(&file).copied()
    }

    /// Sets the time of modification of a file; `None` stands for that of the last write.
    pub(crate) fn set_modified(&mut self, file: NodeId, time: Option<SystemTime>) {
        match time {
            Some(time) => self.modified.insert(file, time),
            None => self.modified.remove(&file),
        };
    }

    pub(crate) fn write(&mut self, file: NodeId, offset: usize, bytes: &[u8]) {
        self.modified.remove(&file);
        if let Some(file) = self.file_mut(file) {
            file.bytes.write(offset, bytes);
        }
    }

    pub(crate) fn set_bytes(&mut self, file: NodeId, bytes: SparseBytes) {
        if let Some(file) = self.file_mut(file) {
            file.bytes = bytes;
        }
    }

    pub(crate) fn resize(&mut self, file: NodeId, length: usize) {
        self.modified.remove(&file);
        if let Some(file) = self.file_mut(file) {
            file.bytes.resize(length);
        }
    }

    /// Lists the nodes that the entries of a directory name.
    pub(crate) fn children(&self, directory: NodeId) -> Vec<NodeId> {
        match &self.nodes[directory.0] {
            Node::Directory { entries, .. } => entries.values().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// Returns the node that this entry names.
    pub(crate) fn entry(&self, slot: &Slot) -> Option<NodeId> {
        self.child(slot.directory, &slot.name)
    }

    fn child(&self, directory: NodeId, name: &OsStr) -> Option<NodeId> {
        match &self.nodes[directory.0] {
            Node::Directory { entries, .. } => entries.get(name).copied(),
            _ => None,
        }
    }

    /// Whether the node has no entries.
    pub(crate) fn is_empty(&self, node: NodeId) -> bool {
        match &self.nodes[node.0] {
            Node::Directory { entries, .. } => entries.is_empty(),
            Node::File(_) | Node::Symlink(_) => true,
        }
    }

    /// Whether an entry names the node.
    pub(crate) fn has_name(&self, node: NodeId) -> bool {
        let names = |parent: &Node| match parent {
            Node::Directory { entries, .. } => entries.values().any(|entry| *entry == node),
            _ => false,
        };
        self.nodes.iter().any(names)
    }

    /// Whether `directory` is this node, or is below it.
    pub(crate) fn contains(&self, node: NodeId, directory: NodeId) -> bool {
        node == directory
            || matches!(self.nodes[node.0], Node::Directory { .. })
                && self.ancestors(directory).contains(&node)
    }

    /// Lists the directories on the paths to this node, from each of the node's names up to the
    /// root.
    pub(crate) fn ancestors(&self, node: NodeId) -> Vec<NodeId> {
        let mut found: Vec<NodeId> = Vec::new();
        let mut below = vec![node];
        while let Some(child) = below.pop() {
            for (number, parent) in self.nodes.iter().enumerate() {
                let parent_id = NodeId(number);
                if let Node::Directory { entries, .. } = parent
                    && entries.values().any(|entry| *entry == child)
                    && !found.contains(&parent_id)
                {
                    found.push(parent_id);
                    below.push(parent_id);
                }
            }
        }
        found
    }

    /// Returns the slot of this path, or `None` if the path has no name or its directory does not
    /// exist.
    pub(crate) fn slot(&self, path: &Path) -> Option<Slot> {
        let name = path.file_name()?.to_owned();
        let directory = self.follow(path.parent()?)?;
        Some(Slot { directory, name })
    }

    /// Returns the node at this path. Does not follow a symlink at the end of the path.
    pub(crate) fn find(&self, path: &Path) -> Option<NodeId> {
        match self.slot(path) {
            Some(slot) => self.entry(&slot),
            None => path.as_os_str().is_empty().then_some(ROOT),
        }
    }

    /// Returns the node at this path. Follows up to [`MAX_SYMLINKS`] symlinks.
    pub(crate) fn follow(&self, path: &Path) -> Option<NodeId> {
        self.walk(path, MAX_SYMLINKS)
    }

    fn walk(&self, path: &Path, symlinks: usize) -> Option<NodeId> {
        let mut node = ROOT;
        let mut walked = PathBuf::new();
        for component in path.components() {
            let Component::Normal(name) = component else {
                return None;
            };
            node = self.child(node, name)?;
            if let Node::Symlink(target) = &self.nodes[node.0] {
                let symlinks = symlinks.checked_sub(1)?;
                node = self.walk(&walked.join(target), symlinks)?;
            }
            walked.push(name);
        }
        Some(node)
    }
}
