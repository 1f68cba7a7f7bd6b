//! A file system in memory, to which changes are made one by one.

use super::tree::{Entry, Tree};
use crate::syscalls::effect::split;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A file system in memory.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) nodes: Vec<Node>,
}

pub(super) type NodeId = usize;

/// The folder of everything.
const ROOT: NodeId = 0;

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(Vec<u8>, u32),
    Folder(BTreeMap<OsString, NodeId>, u32),
    Link(PathBuf),
}

/// A change that is there or is not.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Names in folders: these get these nodes, or none, all at once.
    Names(Vec<(NodeId, OsString, Option<NodeId>)>),
    Write {
        file: NodeId,
        at: usize,
        bytes: Vec<u8>,
    },
    Resize {
        file: NodeId,
        length: usize,
    },
}

impl Disk {
    pub(super) fn of(tree: &Tree) -> Self {
        let mut disk = Self {
            nodes: vec![Node::Folder(BTreeMap::new(), 0o755)],
        };
        for (path, entry) in &tree.0 {
            let node = match entry {
                Entry::File(bytes, rights) => Node::File(bytes.clone(), *rights),
                Entry::Folder(rights) => Node::Folder(BTreeMap::new(), *rights),
                Entry::Link(to) => Node::Link(to.clone()),
            };
            let Some((folder, name)) = disk.place(path) else {
                continue;
            };
            disk.nodes.push(node);
            let node = disk.nodes.len() - 1;
            disk.apply(&Change::Names(vec![(folder, name, Some(node))]), None);
        }
        disk
    }

    pub(super) fn tree(&self) -> Tree {
        let mut tree = Tree::default();
        self.add_to(&mut tree, ROOT, Path::new(""), 0);
        tree
    }

    /// A folder that was moved into itself in an order that only a broken disk has would have no end.
    fn add_to(&self, tree: &mut Tree, folder: NodeId, path: &Path, depth: usize) {
        let Node::Folder(entries, _) = &self.nodes[folder] else {
            return;
        };
        for (name, node) in entries {
            let path = path.join(name);
            let entry = match &self.nodes[*node] {
                Node::File(bytes, rights) => Entry::File(bytes.clone(), *rights),
                Node::Folder(_, rights) => Entry::Folder(*rights),
                Node::Link(to) => Entry::Link(to.clone()),
            };
            tree.0.insert(path.clone(), entry);
            if depth < 64 {
                self.add_to(tree, *node, &path, depth + 1);
            }
        }
    }

    pub(super) fn apply(&mut self, change: &Change, beginning: Option<usize>) {
        match change {
            Change::Names(names) => {
                for (folder, name, node) in names {
                    if let Node::Folder(entries, _) = &mut self.nodes[*folder] {
                        match node {
                            Some(node) => entries.insert(name.clone(), *node),
                            None => entries.remove(name),
                        };
                    }
                }
            }
            Change::Write { file, at, bytes } => {
                if let Node::File(content, _) = &mut self.nodes[*file] {
                    let bytes = &bytes[..beginning.unwrap_or(bytes.len())];
                    let end = at + bytes.len();
                    if content.len() < end {
                        content.resize(end, 0);
                    }
                    content[*at..end].copy_from_slice(bytes);
                }
            }
            Change::Resize { file, length } => {
                if let Node::File(content, _) = &mut self.nodes[*file] {
                    content.resize(*length, 0);
                }
            }
        }
    }

    pub(super) fn entry(&self, folder: NodeId, name: &OsString) -> Option<NodeId> {
        match &self.nodes[folder] {
            Node::Folder(entries, _) => entries.get(name).copied(),
            _ => None,
        }
    }

    /// The folder that a path's name is in, and the name.
    pub(super) fn place(&self, path: &Path) -> Option<(NodeId, OsString)> {
        let (folder, name) = split(path)?;
        Some((self.follow(folder)?, name))
    }

    /// What is at this path; a link itself if one is.
    pub(super) fn find(&self, path: &Path) -> Option<NodeId> {
        match self.place(path) {
            Some((folder, name)) => self.entry(folder, &name),
            None => Some(ROOT),
        }
    }

    /// What is at this path when links are followed, up to a few.
    pub(super) fn follow(&self, path: &Path) -> Option<NodeId> {
        self.walk(path, 8)
    }

    fn walk(&self, path: &Path, links: usize) -> Option<NodeId> {
        let mut node = ROOT;
        let mut walked = PathBuf::new();
        for component in path.components() {
            let std::path::Component::Normal(name) = component else {
                return None;
            };
            node = self.entry(node, &name.to_owned())?;
            if let Node::Link(to) = &self.nodes[node] {
                let links = links.checked_sub(1)?;
                node = self.walk(&walked.join(to), links)?;
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
