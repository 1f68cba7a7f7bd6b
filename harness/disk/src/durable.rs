//! The changes that the syncs of a program have made durable.

use crate::changes::Changes;
use crate::durable_bytes::{DurableBytes, PAGE};
use crate::file_system::{FileSystem, NodeId};
use crate::journal::{Event, Journal, Part, SyncKind};
use crate::log_tree::{self, Optional};
use crate::names::Names;
use crate::power_loss::PowerLoss;
use crate::renames::moves_out;
use crate::unit::{PartId, Unit};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

/// The durable changes after some of a program's calls.
#[derive(Debug)]
pub(crate) struct Durable<'a> {
    /// All changes of metadata, in the order of the calls.
    pub(crate) units: Vec<Unit<'a>>,
    /// The durable parts of `units`.
    pub(crate) parts: HashSet<PartId>,
    /// The number of changes that the last commit of ext4 made durable.
    pub(crate) committed: usize,
    /// The changes that the disk can have besides a prefix: those up to one of these.
    pub(crate) optional: Vec<Optional>,
    files: BTreeMap<NodeId, DurableBytes>,
    /// The pages that each sync of a range has written, by the index of the sync in the log.
    pub(crate) synced_pages: BTreeMap<usize, BTreeSet<usize>>,
    /// The writes, changes of size and syncs of ranges of each file, as ascending indices in the
    /// journal's log.
    changes: BTreeMap<NodeId, Vec<usize>>,
}

impl<'a> Durable<'a> {
    /// Follows the syncs among the first `calls` calls.
    pub(crate) fn after(journal: &'a Journal, calls: usize, power_loss: PowerLoss) -> Self {
        let mut walk = Walk {
            durable: Self {
                units: Vec::new(),
                parts: HashSet::new(),
                committed: 0,
                optional: Vec::new(),
                files: BTreeMap::new(),
                synced_pages: BTreeMap::new(),
                changes: BTreeMap::new(),
            },
            journal,
            power_loss,
            live: journal.before.clone(),
            names: Names::default(),
            nodes: BTreeMap::new(),
            is_aborted: false,
        };
        for (index, logged) in journal.until(calls).iter().enumerate() {
            match &logged.event {
                Event::Metadata(parts) => {
                    let (call, unit) = (logged.call, walk.durable.units.len());
                    walk.durable.units.push(Unit { index, call, parts });
                    walk.names.add(parts);
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
                    walk.write(*file, index, *offset..offset + bytes.len(), *grows);
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
                    None => walk.sync_directory(*node),
                },
                Event::FailedSync { node, range } => walk.fail_sync(*node, range.as_ref()),
                Event::SyncAll => walk.sync_all(index),
            }
            walk.live.apply(&logged.event);
        }
        let mut durable = walk.durable;
        durable.optional =
            log_tree::optional(journal, &durable.units, &durable.parts, calls, power_loss);
        durable
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

    /// Lists the writes, changes of size and syncs of ranges of a file, as indices in the journal's
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
    /// The index of the changes in `durable.units`.
    names: Names<'a>,
    nodes: BTreeMap<NodeId, Changes>,
    /// Whether the sync of a directory has failed.
    is_aborted: bool,
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
            Part::Size { file, length } => {
                self.change(*file, index, true, true);
                self.durable.changes.entry(*file).or_default().push(index);
                if let Some(found) = self.live.file(*file) {
                    let changes = self.nodes.entry(*file).or_default();
                    changes.behind_end.resize(&found.bytes, *length);
                    if *length < found.bytes.len() {
                        changes.cut(*length);
                    }
                }
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

    /// Notes a write.
    ///
    /// If a write changes no length, `fsync` commits its new time of modification. Soon after an
    /// earlier change of the file, the coarse clock of the kernel still gives the same time.
    fn write(&mut self, file: NodeId, index: usize, range: Range<usize>, grows: bool) {
        let length = self.live.file(file).map_or(0, |found| found.bytes.len());
        let changes = self.nodes.entry(file).or_default();
        changes.behind_end.write(&range, length);
        if grows || !changes.is_modified {
            self.change(file, index, true, false);
        } else {
            (changes.data, changes.any) = (true, true);
        }
        let changes = self.nodes.entry(file).or_default();
        changes.is_modified = true;
        if grows {
            changes
                .growths
                .push((index + 1, length.max(range.start)..range.end));
        }
    }

    /// Notes a change of a node. `commits_data` is whether `fdatasync` must commit the change.
    fn change(&mut self, node: NodeId, index: usize, data: bool, commits_data: bool) {
        let changes = self.nodes.entry(node).or_default();
        changes.data |= data;
        changes.any = true;
        changes.sync = index + 1;
        if commits_data {
            changes.is_modified = true;
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
        let written = take_pages(&mut changes.dirty, range);
        let length = self.live.file(file).map_or(0, |found| found.bytes.len());
        changes.behind_end.sync(Some(&written), length);
        let last_change = match kind {
            SyncKind::Full => changes.sync,
            SyncKind::Data => changes.last_data_change(range.is_some().then_some(&written)),
        };
        // Without other pages, the sync of a range is one of the whole file.
        let is_whole = range.is_none() || changes.dirty.is_empty() && changes.lost.is_empty();
        if !is_whole {
            self.durable.synced_pages.insert(index, written);
            self.durable.changes.entry(file).or_default().push(index);
        }
        changes.data = !changes.dirty.is_empty();
        // `fdatasync` of a new file leaves work to `fsync` if ext4 need not commit all its changes.
        changes.any &= !is_full || changes.data || changes.sync > last_change;
        if is_whole {
            self.keep_bytes(file, index);
        }
        self.commit_until(last_change);
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

    fn sync_directory(&mut self, directory: NodeId) {
        let last_change = self.nodes.entry(directory).or_default().sync;
        self.commit_until(last_change);
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
                let parts = 0..self.durable.units[unit].parts.len();
                let ids = parts.map(|number| (unit, number));
                self.durable.parts.extend(ids);
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
        self.commit_until(index);
    }

    /// Commits the metadata up to the last change of the synced node, at this end of the log.
    ///
    /// The kernel may have committed this change on its own. Then the sync commits nothing more.
    fn commit_until(&mut self, last_change: usize) {
        let units = &self.durable.units;
        let count = units.partition_point(|unit| unit.index < last_change);
        self.durable.committed = self.durable.committed.max(count);
    }

    fn keep_bytes(&mut self, file: NodeId, index: usize) {
        let Some(found) = self.live.file(file) else {
            return;
        };
        let changes = self.nodes.entry(file).or_default();
        changes.dirty.clear();
        changes.behind_end.sync(None, found.bytes.len());
        let log = &self.journal.log[..index];
        let before = self.durable.bytes(self.journal, file);
        let synced_pages = &self.durable.synced_pages;
        let mut synced = before.synced(log, file, &self.live, &changes.lost, synced_pages);
        synced.behind_end = changes.behind_end.bytes().to_vec();
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

    /// Makes the names of a file durable, and those of the directories above it.
    fn keep_names(&mut self, file: NodeId) {
        let names = self.names.parts(&self.live, file);
        self.durable.parts.extend(names);
        self.close();
    }

    /// Makes each change durable that freed the entry of a durable part.
    ///
    /// First drops the parts that ext4 has not committed. A state of any one of the file systems is
    /// a state of the model.
    fn close(&mut self) {
        let committed = self.durable.committed;
        self.durable.parts.retain(|(unit, _)| *unit < committed);
        self.names.close(&mut self.durable.parts);
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
