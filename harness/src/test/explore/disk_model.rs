//! A file system in memory, with changes that are applied one by one.

use super::snapshot::{Snapshot, SnapshotEntry};
use crate::syscalls::file_call::split;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The maximum depth of directories. Without a maximum, a snapshot could be infinite: lost changes
/// can leave a directory inside itself.
const MAX_DEPTH: usize = 64;

/// The maximum number of symlinks that are followed in a path.
const MAX_SYMLINKS: usize = 8;

/// A file system in memory.
#[derive(Clone, Debug)]
pub(super) struct DiskModel {
    pub(super) nodes: Vec<Node>,
}

/// The index of a node in `DiskModel::nodes`.
pub(super) type NodeId = usize;

/// The operation's directory.
const ROOT: NodeId = 0;

/// A file with its bytes, a directory with its entries, or a symlink with its target. Files and
/// directories have permissions.
#[derive(Clone, Debug)]
pub(super) enum Node {
    File(Vec<u8>, u32),
    Directory(BTreeMap<OsString, NodeId>, u32),
    Symlink(PathBuf),
}

/// A change to the disk.
#[derive(Clone, Debug)]
pub(super) enum DiskChange {
    /// Sets or removes entries of directories. All these entries change atomically.
    Entries(Vec<(NodeId, OsString, Option<NodeId>)>),
    Write {
        file: NodeId,
        offset: usize,
        bytes: Vec<u8>,
    },
    Resize {
        file: NodeId,
        length: usize,
    },
}

impl DiskModel {
    pub(super) fn from_snapshot(snapshot: &Snapshot) -> Self {
        let mut disk = Self {
            nodes: vec![Node::Directory(BTreeMap::new(), 0o755)],
        };
        for (path, entry) in &snapshot.0 {
            let node = match entry {
                SnapshotEntry::File(bytes, permissions) => Node::File(bytes.clone(), *permissions),
                SnapshotEntry::Directory(permissions) => {
                    Node::Directory(BTreeMap::new(), *permissions)
                }
                SnapshotEntry::Symlink(to) => Node::Symlink(to.clone()),
            };
            let Some((directory, name)) = disk.parent(path) else {
                continue;
            };
            disk.nodes.push(node);
            let node = disk.nodes.len() - 1;
            let entry = (directory, name, Some(node));
            disk.apply(&DiskChange::Entries(vec![entry]), None);
        }
        disk
    }

    pub(super) fn to_snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.add_to(&mut snapshot, ROOT, Path::new(""), 0);
        snapshot
    }

    fn add_to(&self, snapshot: &mut Snapshot, directory: NodeId, path: &Path, depth: usize) {
        let Node::Directory(entries, _) = &self.nodes[directory] else {
            return;
        };
        for (name, node) in entries {
            let path = path.join(name);
            let entry = match &self.nodes[*node] {
                Node::File(bytes, permissions) => SnapshotEntry::File(bytes.clone(), *permissions),
                Node::Directory(_, permissions) => SnapshotEntry::Directory(*permissions),
                Node::Symlink(to) => SnapshotEntry::Symlink(to.clone()),
            };
            snapshot.0.insert(path.clone(), entry);
            if depth < MAX_DEPTH {
                self.add_to(snapshot, *node, &path, depth + 1);
            }
        }
    }

    /// Applies a change. Applies only the first `prefix` bytes of a write if `prefix` is given.
    pub(super) fn apply(&mut self, change: &DiskChange, prefix: Option<usize>) {
        match change {
            DiskChange::Entries(changed) => {
                for (directory, name, node) in changed {
                    if let Node::Directory(entries, _) = &mut self.nodes[*directory] {
                        match node {
                            Some(node) => entries.insert(name.clone(), *node),
                            None => entries.remove(name),
                        };
                    }
                }
            }
            DiskChange::Write {
                file,
                offset,
                bytes,
            } => {
                if let Node::File(content, _) = &mut self.nodes[*file] {
                    let bytes = &bytes[..prefix.unwrap_or(bytes.len())];
                    let end = offset + bytes.len();
                    if content.len() < end {
                        content.resize(end, 0);
                    }
                    content[*offset..end].copy_from_slice(bytes);
                }
            }
            DiskChange::Resize { file, length } => {
                if let Node::File(content, _) = &mut self.nodes[*file] {
                    content.resize(*length, 0);
                }
            }
        }
    }

    pub(super) fn entry(&self, directory: NodeId, name: &OsString) -> Option<NodeId> {
        match &self.nodes[directory] {
            Node::Directory(entries, _) => entries.get(name).copied(),
            _ => None,
        }
    }

    /// Gives the node of the path's parent directory, and the last name in the path. Gives `None`
    /// if the path has no name, or if the directory does not exist.
    pub(super) fn parent(&self, path: &Path) -> Option<(NodeId, OsString)> {
        let (directory, name) = split(path)?;
        Some((self.follow(directory)?, name))
    }

    /// Gives the node at this path. Does not follow a symlink at the end of the path.
    pub(super) fn find(&self, path: &Path) -> Option<NodeId> {
        match self.parent(path) {
            Some((directory, name)) => self.entry(directory, &name),
            None => Some(ROOT),
        }
    }

    /// Gives the node at this path. Follows up to [`MAX_SYMLINKS`] symlinks.
    pub(super) fn follow(&self, path: &Path) -> Option<NodeId> {
        self.walk(path, MAX_SYMLINKS)
    }

    fn walk(&self, path: &Path, symlinks: usize) -> Option<NodeId> {
        let mut node = ROOT;
        let mut walked = PathBuf::new();
        for component in path.components() {
            let std::path::Component::Normal(name) = component else {
                return None;
            };
            node = self.entry(node, &name.to_owned())?;
            if let Node::Symlink(to) = &self.nodes[node] {
                let symlinks = symlinks.checked_sub(1)?;
                node = self.walk(&walked.join(to), symlinks)?;
            }
            walked.push(name);
        }
        Some(node)
    }

    pub(super) fn length(&self, file: NodeId) -> Option<usize> {
        match &self.nodes[file] {
            Node::File(content, _) => Some(content.len()),
            _ => None,
        }
    }
}
