//! The changes that the syncs of a program have made durable.

use crate::durable_bytes::{DurableBytes, PAGE};
use crate::file_system::{FileSystem, NodeId, Slot};
use crate::journal::{Event, Journal, Part, SyncKind};
use crate::power_loss::PowerLoss;
use crate::renames::{is_within_one_directory, moves_out};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

/// The number of a metadata change, and of one of its parts.
pub(crate) type PartId = (usize, usize);

/// The durable changes after some of a program's calls.
#[derive(Debug)]
pub(crate) struct Durable<'a> {
    /// All changes of metadata, in the order of the calls.
    pub(crate) units: Vec<Unit<'a>>,
    /// The durable parts of `units`.
    pub(crate) parts: HashSet<PartId>,
    /// The number of changes that the last commit of ext4 made durable.
    pub(crate) committed: usize,
    files: BTreeMap<NodeId, DurableBytes>,
    /// The writes, changes of size and syncs of a range of each file, as ascending indices in the journal's log.
    changes: BTreeMap<NodeId, Vec<usize>>,
    /// The pages that each sync of a range has written, by the index of the sync in the log.
    pub(crate) synced_pages: BTreeMap<usize, BTreeSet<usize>>,
}

/// The metadata change of one call.
#[derive(Debug)]
pub(crate) struct Unit<'a> {
    /// The index of the change in the journal's log.
    pub(crate) index: usize,
    pub(crate) call: usize,
    pub(crate) parts: &'a [Part],
}

impl<'a> Durable<'a> {
    /// Follows the syncs among the first `calls` calls.
    pub(crate) fn after(journal: &'a Journal, calls: usize, power_loss: PowerLoss) -> Self {
        let mut walk = Walk {
            durable: Self {
                units: Vec::new(),
                parts: HashSet::new(),
                committed: 0,
                files: BTreeMap::new(),
                changes: BTreeMap::new(),
                synced_pages: BTreeMap::new(),
            },
            journal,
            power_loss,
            live: journal.before.clone(),
            nodes: BTreeMap::new(),
            commit: 0,
            is_aborted: false,
        };
        for (index, logged) in journal.until(calls).iter().enumerate() {
            match &logged.event {
                Event::Metadata(parts) => {
                    let (call, unit) = (logged.call, walk.durable.units.len());
                    walk.durable.units.push(Unit { index, call, parts });
                    for (number, part) in parts.iter().enumerate() {
                        walk.mark(index, (unit, number), part);
                    }
                }
                Event::Write {
                    file,
                    offset,
                    bytes,
                    grows,
                    ..
                } => {
                    walk.change(*file, index, true, *grows);
                    walk.durable.changes.entry(*file).or_default().push(index);
                    let pages = offset / PAGE..(offset + bytes.len()).div_ceil(PAGE);
                    let changes = walk.nodes.entry(*file).or_default();
                    changes.lost.retain(|page| !pages.contains(page));
                    changes.dirty.extend(pages);
                }
                // After a failed sync of a directory, the file system accepts no changes.
                Event::Sync { .. } | Event::SyncAll if walk.is_aborted => {}
                Event::Sync { node, kind, range } => match walk.live.file(*node) {
                    Some(_) => walk.sync_file(*node, *kind, range.as_ref(), index),
                    None => walk.sync_directory(*node, index),
                },
                Event::FailedSync { node, range } => walk.fail_sync(*node, range.as_ref()),
                Event::SyncAll => walk.sync_all(index),
            }
            walk.live.apply(&logged.event);
        }
        walk.durable
    }

    /// Returns the durable bytes of a file.
    pub(crate) fn bytes(&self, journal: &Journal, file: NodeId) -> DurableBytes {
        let synced = self.files.get(&file).cloned();
        synced.unwrap_or_else(|| DurableBytes::initial(journal.before.file(file)))
    }

    /// Returns the index, in the journal's log, of the first event that a file's durable bytes do
    /// not contain.
    pub(crate) fn since(&self, file: NodeId) -> usize {
        self.files.get(&file).map_or(0, |synced| synced.since)
    }

    /// Lists the writes, changes of size and syncs of a range of a file, as indices in the journal's
    /// log. The first is at `since` or later.
    pub(crate) fn changes_since(&self, file: NodeId, since: usize) -> impl Iterator<Item = usize> {
        let changes = self.changes.get(&file).map_or(&[][..], Vec::as_slice);
        let known = changes.partition_point(|index| *index < since);
        changes[known..].iter().copied()
    }

    /// Returns the number of the metadata change at this index in the journal's log.
    pub(crate) fn unit_at(&self, index: usize) -> usize {
        self.units.partition_point(|unit| unit.index < index)
    }
}

struct Walk<'a> {
    durable: Durable<'a>,
    journal: &'a Journal,
    power_loss: PowerLoss,
    /// The file system as the program sees it.
    live: FileSystem,
    nodes: BTreeMap<NodeId, Changes>,
    /// The end of the log at the last commit, as an index.
    commit: usize,
    /// Whether the sync of a directory has failed.
    is_aborted: bool,
}

/// The unsynced changes of a file or directory.
#[derive(Debug, Default)]
struct Changes {
    /// Whether bytes or the length changed.
    data: bool,
    /// Whether anything changed.
    any: bool,
    /// The part that created the node, if a call did.
    creation: Option<PartId>,
    /// The end of the log at the last change that `fsync` must commit, as an index.
    sync: usize,
    /// The same for `fdatasync`.
    data_sync: usize,
    /// The pages with bytes that no sync has written.
    dirty: BTreeSet<usize>,
    /// The pages that a failed sync has lost, and that no later write has touched.
    lost: BTreeSet<usize>,
}

impl Walk<'_> {
    fn mark(&mut self, index: usize, id: PartId, part: &Part) {
        match part {
            Part::Entry {
                slot,
                node,
                previous,
                creates,
            } => {
                self.change(slot.directory, index, false, false);
                for named in [node, previous].into_iter().flatten() {
                    self.change(*named, index, false, *creates);
                }
                if let (Some(node), true) = (node, creates) {
                    self.nodes.entry(*node).or_default().creation = Some(id);
                }
            }
            Part::Size { file, .. } => {
                self.change(*file, index, true, true);
                self.durable.changes.entry(*file).or_default().push(index);
            }
            Part::Unnamed { node } => {
                self.change(*node, index, false, true);
                self.nodes.entry(*node).or_default().creation = Some(id);
                // No state shows the file, so the change need not be a choice.
                if self.power_loss == PowerLoss::Posix {
                    self.durable.parts.insert(id);
                }
            }
            Part::Mode { node, .. } | Part::Times { node, .. } => {
                self.change(*node, index, false, false);
            }
        }
    }

    /// Notes a change of a node. `commits_data` is whether `fdatasync` must commit the change.
    fn change(&mut self, node: NodeId, index: usize, data: bool, commits_data: bool) {
        let changes = self.nodes.entry(node).or_default();
        changes.data |= data;
        changes.any = true;
        changes.sync = index + 1;
        if commits_data {
            changes.data_sync = index + 1;
        }
    }

    fn sync_file(
        &mut self,
        file: NodeId,
        kind: SyncKind,
        range: Option<&Range<usize>>,
        index: usize,
    ) {
        let durable = &self.durable;
        let is_durable = |id: PartId| match self.power_loss {
            PowerLoss::Ext4Ordered => id.0 < durable.committed,
            PowerLoss::Posix | PowerLoss::Journaled => durable.parts.contains(&id),
        };
        let changes = self.nodes.entry(file).or_default();
        let is_new = changes.creation.is_some_and(|id| !is_durable(id));
        let has_work = match kind {
            SyncKind::Full => changes.any,
            SyncKind::Data => changes.data || is_new,
        };
        if !has_work {
            return;
        }
        let is_full = kind == SyncKind::Full || is_new && self.power_loss != PowerLoss::Posix;
        if range.is_some() {
            let written = take_pages(&mut changes.dirty, range);
            self.durable.changes.entry(file).or_default().push(index);
            self.durable.synced_pages.insert(index, written);
            changes.data = !changes.dirty.is_empty();
        } else {
            changes.data = false;
        }
        changes.any &= !is_full || changes.data;
        let last_change = match kind {
            SyncKind::Full => changes.sync,
            SyncKind::Data => changes.data_sync,
        };
        if range.is_none() {
            self.keep_bytes(file, index);
        }
        self.commit_after(last_change, index);
        match self.power_loss {
            PowerLoss::Posix => self.keep(|part| match part {
                Part::Size { file: node, .. } => *node == file,
                Part::Mode { node, .. } | Part::Times { node, .. } => {
                    *node == file && kind == SyncKind::Full
                }
                _ => false,
            }),
            PowerLoss::Journaled => {
                self.keep(|part| matches!(part, Part::Size { file: node, .. } if *node == file));
                if is_full {
                    self.keep_names(file);
                }
            }
            PowerLoss::Ext4Ordered => {}
        }
    }

    fn fail_sync(&mut self, node: NodeId, range: Option<&Range<usize>>) {
        match self.live.file(node) {
            Some(_) => {
                let changes = self.nodes.entry(node).or_default();
                changes
                    .lost
                    .append(&mut take_pages(&mut changes.dirty, range));
                changes.data = !changes.dirty.is_empty();
                changes.any = changes.data;
            }
            None => self.is_aborted = true,
        }
    }

    fn sync_directory(&mut self, directory: NodeId, index: usize) {
        let last_change = self.nodes.entry(directory).or_default().sync;
        self.commit_after(last_change, index);
        if self.power_loss == PowerLoss::Ext4Ordered {
            return;
        }
        self.keep(|part| match part {
            Part::Entry { slot, .. } => slot.directory == directory,
            Part::Mode { node, .. } | Part::Times { node, .. } => *node == directory,
            _ => false,
        });
        if self.power_loss == PowerLoss::Journaled {
            let moved: Vec<usize> = (0..self.durable.units.len())
                .filter(|unit| moves_out(self.durable.units[*unit].parts, directory))
                .collect();
            for unit in moved {
                self.keep_unit(unit);
            }
            self.close();
        }
    }

    fn sync_all(&mut self, index: usize) {
        self.keep(|_| true);
        let files: Vec<NodeId> = self.nodes.keys().copied().collect();
        for file in files {
            self.keep_bytes(file, index);
        }
        for changes in self.nodes.values_mut() {
            (changes.data, changes.any) = (false, false);
        }
        self.commit_after(index, index);
    }

    /// Commits all metadata, if the last change at this end of the log is not committed.
    fn commit_after(&mut self, last_change: usize, index: usize) {
        if last_change > self.commit {
            self.commit = index;
            self.durable.committed = self.durable.units.len();
        }
    }

    fn keep_bytes(&mut self, file: NodeId, index: usize) {
        if self.live.file(file).is_none() {
            return;
        }
        let changes = self.nodes.entry(file).or_default();
        changes.dirty.clear();
        let log = &self.journal.log[..index];
        let before = self.durable.bytes(self.journal, file);
        let synced_pages = &self.durable.synced_pages;
        let synced = before.synced(log, file, &self.live, &changes.lost, synced_pages);
        self.durable.files.insert(file, synced);
    }

    /// Makes the parts that match durable.
    fn keep(&mut self, matches: impl Fn(&Part) -> bool) {
        for (unit, change) in self.durable.units.iter().enumerate() {
            for (number, part) in change.parts.iter().enumerate() {
                if matches(part) {
                    self.durable.parts.insert((unit, number));
                }
            }
        }
    }

    fn keep_unit(&mut self, unit: usize) {
        let parts = self.durable.units[unit].parts.len();
        self.durable
            .parts
            .extend((0..parts).map(|number| (unit, number)));
    }

    /// Makes the names of a file durable, and those of the directories above it.
    fn keep_names(&mut self, file: NodeId) {
        let mut nodes = self.live.ancestors(file);
        self.keep(|part| {
            matches!(part,
                Part::Mode { node, .. } | Part::Times { node, .. } | Part::Unnamed { node }
                if *node == file)
        });
        nodes.push(file);
        let is_name = |part: &Part| match part {
            Part::Entry { node, previous, .. } => [node, previous]
                .into_iter()
                .flatten()
                .any(|named| nodes.contains(named)),
            _ => false,
        };
        self.keep(is_name);
        // A rename within one directory is one change.
        for unit in 0..self.durable.units.len() {
            let parts = self.durable.units[unit].parts;
            if is_within_one_directory(parts) && parts.iter().any(is_name) {
                self.keep_unit(unit);
            }
        }
        self.close();
    }

    /// Makes each change durable that freed the entry of a durable part.
    ///
    /// First drops the parts that ext4 has not committed. A state of any one of the file systems is
    /// a state of the model.
    fn close(&mut self) {
        let committed = self.durable.committed;
        self.durable.parts.retain(|(unit, _)| *unit < committed);
        let slots = |durable: &Durable<'_>| -> Vec<(usize, Slot)> {
            let entry = |(unit, number): &PartId| match &durable.units[*unit].parts[*number] {
                Part::Entry { slot, .. } => Some((*unit, slot.clone())),
                _ => None,
            };
            durable.parts.iter().filter_map(entry).collect()
        };
        loop {
            let before = self.durable.parts.len();
            for (unit, slot) in slots(&self.durable) {
                for earlier in 0..unit {
                    let has_slot = |part: &Part| matches!(part, Part::Entry { slot: other, .. } if *other == slot);
                    if self.durable.units[earlier].parts.iter().any(has_slot) {
                        self.keep_unit(earlier);
                    }
                }
            }
            if self.durable.parts.len() == before {
                return;
            }
        }
    }
}

/// Removes the pages that contain these bytes. Without a range, removes all.
fn take_pages(dirty: &mut BTreeSet<usize>, range: Option<&Range<usize>>) -> BTreeSet<usize> {
    let all = std::mem::take(dirty);
    let Some(range) = range else {
        return all;
    };
    let pages = range.start / PAGE..range.end.div_ceil(PAGE);
    let (taken, left) = all.into_iter().partition(|page| pages.contains(page));
    *dirty = left;
    taken
}
