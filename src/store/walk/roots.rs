//! Opens the directories inside of which symlinks are followed.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, openat};

use super::place::{Place, Tree};
use crate::store::links::{LinkRoot, directory_flags};

/// A directory inside of which symlinks are followed, open for one walk.
#[derive(Debug)]
pub(super) struct OpenRoot {
    pub(super) tree: Tree,
    /// The path without symlinks, in its tree.
    pub(super) path: PathBuf,
    /// The path as the operator named it, in the tree of this process.
    pub(super) named: PathBuf,
    directory: Arc<OwnedFd>,
}

impl OpenRoot {
    /// Opens a root. Returns `None` if it no longer exists: then no link leads into it.
    pub(super) fn open((index, root): (usize, &LinkRoot)) -> Option<Self> {
        let named = root.path.clone();
        if let Some(process) = &root.process {
            return Some(Self {
                tree: Tree::Process(index),
                path: process.inside.clone(),
                named,
                directory: Arc::clone(&process.directory),
            });
        }
        let path = fs::canonicalize(&named).ok()?;
        let directory = openat(CWD, &path, directory_flags(), Mode::empty()).ok()?;
        Some(Self {
            tree: Tree::Host,
            path,
            named,
            directory: Arc::new(directory),
        })
    }

    pub(super) fn place(&self) -> Place {
        Place {
            tree: self.tree,
            path: self.path.clone(),
            directories: vec![Arc::clone(&self.directory)],
            is_linked: false,
        }
    }

    /// The rest of `path` below this root. `None` if the path leads elsewhere.
    pub(super) fn inside<'a>(&self, tree: Tree, path: &'a Path) -> Option<&'a Path> {
        if self.tree != tree {
            return None;
        }
        let named = || path.strip_prefix(&self.named).ok();
        match path.strip_prefix(&self.path) {
            Ok(inside) => Some(inside),
            Err(_) if tree == Tree::Host => named(),
            Err(_) => None,
        }
    }
}
