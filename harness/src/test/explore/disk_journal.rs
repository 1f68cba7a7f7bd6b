//! The journal of an operation's changes to files and to the entries of directories.

use super::disk_model::{DiskChange, DiskModel, Node, NodeId};
use super::snapshot::Snapshot;
use crate::syscalls::file_call::{Effect, FileCall};
use std::collections::BTreeMap;
use std::path::Path;

/// A change to the disk, made by one call.
#[derive(Clone, Debug)]
pub(super) struct LoggedChange {
    /// The index of the call that made the change.
    pub(super) call: usize,
    pub(super) change: DiskChange,
    /// The index of the call that makes the change durable. None if no call makes the change
    /// durable.
    pub(super) durable: Option<usize>,
}

/// All changes that an operation makes to the disk.
#[derive(Debug)]
pub(super) struct DiskJournal {
    /// The initial state of the disk. Files that the operation creates later already have nodes,
    /// but no directory entries.
    pub(super) before: DiskModel,
    live: DiskModel,
    pub(super) changes: Vec<LoggedChange>,
    /// The indices of the calls that make earlier changes durable.
    pub(super) syncs: Vec<usize>,
    calls: usize,
}

impl DiskJournal {
    /// Makes the journal of `calls`. The first call starts from the state `before`.
    ///
    /// # Errors
    ///
    /// The index of the first unsupported call, and the reason why that call is unsupported.
    pub(super) fn follow<'a>(
        before: &Snapshot,
        calls: impl IntoIterator<Item = &'a FileCall>,
    ) -> Result<Self, (usize, &'static str)> {
        let disk = DiskModel::from_snapshot(before);
        let mut journal = Self {
            before: disk.clone(),
            live: disk,
            changes: Vec::new(),
            syncs: Vec::new(),
            calls: 0,
        };
        for call in calls {
            if let Effect::Unsupported { reason, .. } = call.effect {
                return Err((journal.calls, reason));
            }
            journal.add(&call.effect);
            journal.calls += 1;
        }
        Ok(journal)
    }

    /// Gives the disk's state after all calls, with no change lost.
    pub(super) fn complete(&self) -> Snapshot {
        self.live.to_snapshot()
    }

    fn add(&mut self, effect: &Effect) {
        match effect {
            Effect::Open {
                path,
                creates,
                truncates,
            } => match self.live.follow(path) {
                None if *creates => self.create(path, Node::File(Vec::new(), 0o644)),
                Some(file) if *truncates && self.live.length(file).is_some_and(|now| now > 0) => {
                    self.log(DiskChange::Resize { file, length: 0 });
                }
                _ => {}
            },
            Effect::Write {
                path,
                offset,
                bytes,
                durable,
            } => {
                let Some(file) = self.live.find(path) else {
                    return;
                };
                let end = self.live.length(file).unwrap_or(0);
                let offset = offset
                    .and_then(|offset| usize::try_from(offset).ok())
                    .unwrap_or(end);
                let bytes = bytes.clone();
                self.log(DiskChange::Write {
                    file,
                    offset,
                    bytes,
                });
                if *durable {
                    self.sync_file(file);
                }
            }
            Effect::Truncate { path, length } => {
                if let (Some(file), Ok(length)) = (self.live.follow(path), usize::try_from(*length))
                {
                    self.log(DiskChange::Resize { file, length });
                }
            }
            Effect::Extend { path, length } => {
                if let (Some(file), Ok(length)) = (self.live.find(path), usize::try_from(*length))
                    && self.live.length(file).is_some_and(|now| now < length)
                {
                    self.log(DiskChange::Resize { file, length });
                }
            }
            Effect::Rename { from, to, exchange } => self.rename(from, to, *exchange),
            Effect::MoveOut { from: path }
            | Effect::Unlink { path }
            | Effect::RemoveDirectory { path } => {
                if let Some((directory, name)) = self.live.parent(path)
                    && self.live.entry(directory, &name).is_some()
                {
                    self.log(DiskChange::Entries(vec![(directory, name, None)]));
                }
            }
            Effect::MakeDirectory { path } => {
                self.create(path, Node::Directory(BTreeMap::new(), 0o755))
            }
            Effect::Symlink { to, path } => self.create(path, Node::Symlink(to.clone())),
            Effect::Link { from, to } => {
                if let (Some(node), Some((directory, name))) =
                    (self.live.find(from), self.live.parent(to))
                    && self.live.entry(directory, &name).is_none()
                {
                    self.log(DiskChange::Entries(vec![(directory, name, Some(node))]));
                }
            }
            Effect::Sync { path } => match self.live.find(path) {
                Some(node) if matches!(self.live.nodes[node], Node::Directory(..)) => {
                    self.sync_directory(node);
                }
                Some(node) => self.sync_file(node),
                None => {}
            },
            Effect::SyncAll => self.sync(|_| true),
            Effect::Read { .. }
            | Effect::ChangePermissions { .. }
            | Effect::Reflink { .. }
            | Effect::NoChange { .. }
            | Effect::Unsupported { .. } => {}
        }
    }

    fn rename(&mut self, from: &Path, to: &Path, exchange: bool) {
        let (Some((from_directory, from_name)), Some((to_directory, to_name))) =
            (self.live.parent(from), self.live.parent(to))
        else {
            return;
        };
        let Some(node) = self.live.entry(from_directory, &from_name) else {
            return;
        };
        let other = self.live.entry(to_directory, &to_name);
        // If both paths are names of the same file, rename(2) does nothing.
        if other == Some(node) {
            return;
        }
        self.log(DiskChange::Entries(vec![
            (from_directory, from_name, other.filter(|_| exchange)),
            (to_directory, to_name, Some(node)),
        ]));
    }

    fn create(&mut self, path: &Path, node: Node) {
        if let Some((directory, name)) = self.live.parent(path)
            && self.live.entry(directory, &name).is_none()
        {
            self.live.nodes.push(node.clone());
            self.before.nodes.push(node);
            let node = self.live.nodes.len() - 1;
            self.log(DiskChange::Entries(vec![(directory, name, Some(node))]));
        }
    }

    fn log(&mut self, change: DiskChange) {
        self.live.apply(&change, None);
        self.changes.push(LoggedChange {
            call: self.calls,
            change,
            durable: None,
        });
    }

    fn sync_file(&mut self, node: NodeId) {
        self.sync(|change| match change {
            DiskChange::Write { file, .. } | DiskChange::Resize { file, .. } => *file == node,
            DiskChange::Entries(_) => false,
        });
    }

    /// Makes the entries of a directory durable. A rename changes two entries atomically, so a sync
    /// of either directory makes the rename durable.
    fn sync_directory(&mut self, node: NodeId) {
        self.sync(|change| match change {
            DiskChange::Entries(changed) => {
                changed.iter().any(|(directory, ..)| *directory == node)
            }
            DiskChange::Write { .. } | DiskChange::Resize { .. } => false,
        });
    }

    fn sync(&mut self, covers: impl Fn(&DiskChange) -> bool) {
        self.syncs.push(self.calls);
        for logged in &mut self.changes {
            if logged.durable.is_none() && covers(&logged.change) {
                logged.durable = Some(self.calls);
            }
        }
    }
}
