//! What may be on the disk after the power has failed.
//!
//! What an operation has done is taken down as changes to files and to entries of folders, and which of them it has brought to the disk. Of all others
//! some may be there and some not, as a [`PowerLoss`] model says. The states are drawn, not enumerated: there are too many.

use super::PowerLoss;
use super::disk::{Change, Disk, Node, NodeId};
use super::tree::Tree;
use crate::syscalls::effect::{Call, Effect};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::path::Path;

/// What is written at a time is there to a multiple of this, in bytes: the sector that disks have promised for decades.
const SECTOR: usize = 512;

/// A change with when it happened and when it was sure to be there.
#[derive(Clone, Debug)]
struct Logged {
    /// The number of its call.
    call: usize,
    change: Change,
    /// From this call on it is on the disk.
    durable: Option<usize>,
}

/// All that an operation did to the disk.
#[derive(Debug)]
pub(super) struct Journal {
    before: Disk,
    live: Disk,
    changes: Vec<Logged>,
    /// The calls that have brought something to the disk.
    syncs: Vec<usize>,
    calls: usize,
}

/// A state that the disk may be in.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) tree: Tree,
    /// The calls of which something is missing.
    pub(super) missing: Vec<usize>,
}

impl Journal {
    /// Follows these calls from this state; `Err` says which cannot be followed.
    pub(super) fn follow<'a>(
        before: &Tree,
        calls: impl IntoIterator<Item = &'a Call>,
    ) -> Result<Self, String> {
        let disk = Disk::of(before);
        let mut journal = Self {
            before: disk.clone(),
            live: disk,
            changes: Vec::new(),
            syncs: Vec::new(),
            calls: 0,
        };
        for call in calls {
            if let Effect::Unknown { why, .. } = &call.effect {
                return Err(format!("{}: {why}", call.words()));
            }
            journal.add(&call.effect);
            journal.calls += 1;
        }
        Ok(journal)
    }

    /// What is there when nothing is lost.
    pub(super) fn whole(&self) -> Tree {
        self.live.tree()
    }

    fn add(&mut self, effect: &Effect) {
        match effect {
            Effect::Open {
                path,
                creates,
                truncates,
            } => match self.live.follow(path) {
                None if *creates => self.make(path, Node::File(Vec::new(), 0o644)),
                Some(file) if *truncates && self.live.length(file).is_some_and(|now| now > 0) => {
                    self.log(Change::Resize { file, length: 0 });
                }
                _ => {}
            },
            Effect::Write {
                path,
                at,
                bytes,
                durable,
            } => {
                let Some(file) = self.live.find(path) else {
                    return;
                };
                let end = self.live.length(file).unwrap_or(0);
                let at = at.and_then(|at| usize::try_from(at).ok()).unwrap_or(end);
                let bytes = bytes.clone();
                self.log(Change::Write { file, at, bytes });
                if *durable {
                    self.sync_file(file);
                }
            }
            Effect::Truncate { path, length } => {
                if let (Some(file), Ok(length)) = (self.live.follow(path), usize::try_from(*length))
                {
                    self.log(Change::Resize { file, length });
                }
            }
            Effect::Extend { path, length } => {
                if let (Some(file), Ok(length)) = (self.live.find(path), usize::try_from(*length))
                    && self.live.length(file).is_some_and(|now| now < length)
                {
                    self.log(Change::Resize { file, length });
                }
            }
            Effect::Rename { from, to, exchange } => self.rename(from, to, *exchange),
            Effect::MoveOut { from: path }
            | Effect::Unlink { path }
            | Effect::RemoveFolder { path } => {
                if let Some((folder, name)) = self.live.place(path)
                    && self.live.entry(folder, &name).is_some()
                {
                    self.log(Change::Names(vec![(folder, name, None)]));
                }
            }
            Effect::MakeFolder { path } => self.make(path, Node::Folder(BTreeMap::new(), 0o755)),
            Effect::Symlink { to, path } => self.make(path, Node::Link(to.clone())),
            Effect::Link { from, to } => {
                if let (Some(node), Some((folder, name))) =
                    (self.live.find(from), self.live.place(to))
                    && self.live.entry(folder, &name).is_none()
                {
                    self.log(Change::Names(vec![(folder, name, Some(node))]));
                }
            }
            Effect::Sync { path } => match self.live.find(path) {
                Some(node) if matches!(self.live.nodes[node], Node::Folder(..)) => {
                    self.sync_folder(node);
                }
                Some(node) => self.sync_file(node),
                None => {}
            },
            Effect::SyncAll => self.sync(|_| true),
            Effect::Read { .. }
            | Effect::Rights { .. }
            | Effect::Clone { .. }
            | Effect::Nothing { .. }
            | Effect::Unknown { .. } => {}
        }
    }

    fn rename(&mut self, from: &Path, to: &Path, exchange: bool) {
        let (Some((from_folder, from_name)), Some((to_folder, to_name))) =
            (self.live.place(from), self.live.place(to))
        else {
            return;
        };
        let Some(node) = self.live.entry(from_folder, &from_name) else {
            return;
        };
        let other = self.live.entry(to_folder, &to_name);
        // Two names of one file: rename(2) does nothing then.
        if other == Some(node) {
            return;
        }
        self.log(Change::Names(vec![
            (from_folder, from_name, other.filter(|_| exchange)),
            (to_folder, to_name, Some(node)),
        ]));
    }

    fn make(&mut self, path: &Path, node: Node) {
        if let Some((folder, name)) = self.live.place(path)
            && self.live.entry(folder, &name).is_none()
        {
            self.live.nodes.push(node.clone());
            self.before.nodes.push(node);
            let node = self.live.nodes.len() - 1;
            self.log(Change::Names(vec![(folder, name, Some(node))]));
        }
    }

    fn log(&mut self, change: Change) {
        self.live.apply(&change, None);
        self.changes.push(Logged {
            call: self.calls,
            change,
            durable: None,
        });
    }

    fn sync_file(&mut self, node: NodeId) {
        self.sync(|change| match change {
            Change::Write { file, .. } | Change::Resize { file, .. } => *file == node,
            Change::Names(_) => false,
        });
    }

    /// A name is on the disk with the folder that it is in; a rename is one change of two names, and there with either of its folders.
    fn sync_folder(&mut self, node: NodeId) {
        self.sync(|change| match change {
            Change::Names(names) => names.iter().any(|(folder, ..)| *folder == node),
            Change::Write { .. } | Change::Resize { .. } => false,
        });
    }

    fn sync(&mut self, covers: impl Fn(&Change) -> bool) {
        self.syncs.push(self.calls);
        for logged in &mut self.changes {
            if logged.durable.is_none() && covers(&logged.change) {
                logged.durable = Some(self.calls);
            }
        }
    }

    /// States in which the disk may be when the power fails after so many calls: with nothing lost that can be lost, with everything, with each
    /// single one, and up to `draws` others.
    pub(super) fn states(
        &self,
        calls: usize,
        model: PowerLoss,
        draws: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<Lost> {
        let made: Vec<&Logged> = self
            .changes
            .iter()
            .filter(|logged| logged.call < calls)
            .collect();
        // A sync is done when the next call is made.
        let open: Vec<usize> = (0..made.len())
            .filter(|&place| made[place].durable.is_none_or(|by| by >= calls))
            .filter(|&place| model == PowerLoss::Posix || !self.is_forced(&made, place, calls))
            .collect();
        let mut choices: Vec<BTreeMap<usize, Kept>> = Vec::new();
        let lose = |places: &[usize]| places.iter().map(|place| (*place, Kept::Nothing)).collect();
        // Single losses first: what is told then is what matters.
        choices.push(BTreeMap::new());
        choices.extend(open.iter().map(|place| lose(&[*place])));
        choices.push(lose(&open));
        for place in &open {
            let others: Vec<usize> = open
                .iter()
                .copied()
                .filter(|other| other != place)
                .collect();
            choices.push(lose(&others));
        }
        for _ in 0..draws {
            let draw = |place: &usize| {
                let kept = match (rng.random_range(0..4_u8), &made[*place].change) {
                    (0 | 1, _) => return None,
                    (2, Change::Write { bytes, .. }) if bytes.len() > SECTOR => {
                        let sectors = bytes.len().div_ceil(SECTOR);
                        Kept::Beginning(SECTOR * rng.random_range(1..sectors))
                    }
                    _ => Kept::Nothing,
                };
                Some((*place, kept))
            };
            choices.push(open.iter().filter_map(draw).collect());
        }
        choices
            .into_iter()
            .map(|mut choice| {
                if model == PowerLoss::Ext4Ordered {
                    in_order(&made, &open, &mut choice);
                }
                self.lost(&made, &choice)
            })
            .collect()
    }

    /// Whether ext4 in its ordered mode has this change on the disk though nobody has asked for it by name: whatever is synced brings all names before
    /// it along, and a file that replaces another by rename is written out before (`auto_da_alloc`).
    fn is_forced(&self, made: &[&Logged], place: usize, calls: usize) -> bool {
        match &made[place].change {
            Change::Names(_) => self
                .syncs
                .iter()
                .any(|by| *by < calls && made[place].call < *by),
            Change::Write { file, .. } | Change::Resize { file, .. } => {
                made[place + 1..].iter().any(|later| match &later.change {
                    Change::Names(names) => {
                        names.len() == 2 && names[1].2 == Some(*file) && self.replaces(later)
                    }
                    _ => false,
                })
            }
        }
    }

    /// Whether this move puts its file in the place of another.
    fn replaces(&self, moved: &Logged) -> bool {
        let Change::Names(names) = &moved.change else {
            return false;
        };
        let mut disk = self.before.clone();
        for logged in self
            .changes
            .iter()
            .take_while(|logged| logged.call < moved.call)
        {
            disk.apply(&logged.change, None);
        }
        let (folder, name, _) = &names[names.len() - 1];
        disk.entry(*folder, name).is_some()
    }

    fn lost(&self, made: &[&Logged], choice: &BTreeMap<usize, Kept>) -> Lost {
        let mut disk = self.before.clone();
        for (place, logged) in made.iter().enumerate() {
            match choice.get(&place) {
                None => disk.apply(&logged.change, None),
                Some(Kept::Nothing) => {}
                Some(Kept::Beginning(length)) => disk.apply(&logged.change, Some(*length)),
            }
        }
        let mut missing: Vec<usize> = choice.keys().map(|place| made[*place].call).collect();
        missing.dedup();
        Lost {
            tree: disk.tree(),
            missing,
        }
    }
}

/// What is there of a change that is not all there.
#[derive(Clone, Copy, Debug)]
enum Kept {
    Nothing,
    /// So many bytes.
    Beginning(usize),
}

/// Lets names be lost only with all names that came later, as a journal does it.
fn in_order(made: &[&Logged], open: &[usize], choice: &mut BTreeMap<usize, Kept>) {
    let is_name = |place: &usize| matches!(made[*place].change, Change::Names(_));
    let first = choice.keys().copied().find(|place| is_name(place));
    if let Some(first) = first {
        let later = open
            .iter()
            .filter(|place| **place > first && is_name(place));
        choice.extend(later.map(|place| (*place, Kept::Nothing)));
    }
}
