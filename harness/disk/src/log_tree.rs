//! Changes of names that Btrfs brings although earlier changes are missing.
//!
//! A sync of a file writes the file's names to the log tree. `fdatasync` does so, too. Until the
//! next commit, later changes of these names go to the log tree as well. They reach the disk with
//! the sync of any other file. When a file replaces a file of the log tree, the log tree loses the
//! name. If the new file is not in the log tree, the name is missing after a loss of power.

use crate::file_system::{FileSystem, NodeId};
use crate::journal::{Event, Journal, Part};
use crate::names::Names;
use crate::power_loss::PowerLoss;
use crate::unit::{PartId, Unit};
use std::collections::HashSet;

/// Changes that the disk can have besides, together with earlier ones.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Optional {
    /// The index of the optional changes that the disk has too.
    before: Option<usize>,
    pub(crate) parts: Vec<PartId>,
    /// The parts of which only the removal of the replaced name is there.
    pub(crate) removals: Vec<PartId>,
    /// The greatest number of a change, also among those before.
    pub(crate) last: usize,
}

/// Lists these optional changes, and those that the disk has too.
pub(crate) fn with_earlier(all: &[Optional], number: usize) -> impl Iterator<Item = &Optional> {
    std::iter::successors(all.get(number), |optional| all.get(optional.before?))
}

/// Changes that the log tree takes at one moment.
#[derive(Clone, Debug, Default)]
struct Taken {
    parts: HashSet<PartId>,
    removals: HashSet<PartId>,
}

/// Whether a file that replaces another file is in the log tree.
///
/// A file that was synced can be out of the log tree, since the kernel commits when it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replacing {
    IfSynced,
    Never,
}

/// Lists the changes that the log tree can bring after some calls, for each time of its last sync.
/// Under `Posix`, lists removals alone.
pub(crate) fn optional(
    journal: &Journal,
    units: &[Unit<'_>],
    durable: &HashSet<PartId>,
    calls: usize,
    power_loss: PowerLoss,
) -> Vec<Optional> {
    let has_open = |(number, parts): (usize, &[Part])| {
        (0..parts.len()).any(|part| !durable.contains(&(number, part)))
    };
    let mut units = units.iter().map(|unit| unit.parts).enumerate();
    // Most explorations end here.
    if power_loss == PowerLoss::Ext4Ordered || !units.any(has_open) {
        return Vec::new();
    }
    let mut tree = LogTree {
        durable,
        power_loss,
        live: journal.before.clone(),
        names: Names::default(),
        logged: HashSet::new(),
        found: Vec::new(),
        brought: Default::default(),
        last: [None; 2],
    };
    for logged in journal.until(calls) {
        match &logged.event {
            Event::Metadata(parts) => {
                parts.iter().for_each(|part| tree.live.apply_part(part));
                tree.names.add(parts);
                tree.change(parts);
            }
            Event::Sync { node, .. } => tree.sync(*node),
            Event::SyncAll => tree.commit(),
            // Then the file system accepts no changes.
            Event::FailedSync { node, .. } if tree.live.file(*node).is_none() => break,
            // Names do not depend on bytes.
            Event::Write { .. } | Event::FailedSync { .. } => {}
        }
    }
    tree.found
}

/// The log tree after some calls.
struct LogTree<'a> {
    durable: &'a HashSet<PartId>,
    power_loss: PowerLoss,
    /// The names as the program sees them.
    live: FileSystem,
    names: Names<'a>,
    /// The files and directories whose names are in the log tree.
    logged: HashSet<NodeId>,
    found: Vec<Optional>,
    /// For each kind of [`Replacing`], the changes of the log tree that no sync has brought.
    brought: [Taken; 2],
    /// For each kind, the index of its last optional changes.
    last: [Option<usize>; 2],
}

impl LogTree<'_> {
    fn sync(&mut self, node: NodeId) {
        if self.live.file(node).is_some() {
            let taken = Taken {
                parts: self.names_of(node),
                ..Taken::default()
            };
            self.take([taken.clone(), taken]);
            self.logged.insert(node);
        } else {
            self.logged.extend(self.live.children(node));
        }
    }

    fn commit(&mut self) {
        self.logged.clear();
        self.found.clear();
        self.brought = Default::default();
        self.last = [None; 2];
    }

    /// Takes the changes of names that the last change brings.
    fn change(&mut self, parts: &[Part]) {
        let kinds = [Replacing::IfSynced, Replacing::Never];
        self.take(kinds.map(|replacing| self.of_change(parts, replacing)));
    }

    fn of_change(&self, parts: &[Part], replacing: Replacing) -> Taken {
        let mut taken = Taken::default();
        let unit = self.names.last();
        let is_logged =
            |node: &Option<NodeId>| node.is_some_and(|node| self.logged.contains(&node));
        let is_exchange = parts
            .iter()
            .all(|part| matches!(part, Part::Entry { node: Some(_), .. }));
        // The file that replaces one of the log tree, and is not in the log tree.
        let mut outside: Option<NodeId> = None;
        for (number, part) in parts.iter().enumerate() {
            if let Part::Entry { node, previous, .. } = part
                && node.is_some()
                && is_logged(previous)
                && (!is_logged(node) || replacing == Replacing::Never && !is_exchange)
            {
                outside = *node;
                taken.removals.insert((unit, number));
            }
        }
        for part in parts {
            if let Part::Entry { node, previous, .. } = part
                && let Some(file) = node.or(*previous)
                && self.logged.contains(&file)
                && outside != Some(file)
            {
                taken.parts.extend(self.names_of(file));
            }
        }
        taken
    }

    fn names_of(&self, file: NodeId) -> HashSet<PartId> {
        // `Posix` has each part on its own.
        if self.power_loss == PowerLoss::Posix {
            return HashSet::new();
        }
        let mut parts = self.names.parts(&self.live, file);
        self.names.close(&mut parts);
        parts
    }

    /// Adds what each kind of log tree takes at one moment, unless syncs bring it anyway.
    fn take(&mut self, taken: [Taken; 2]) {
        let before = self.last;
        for (kind, next) in taken.into_iter().enumerate() {
            let brought = &mut self.brought[kind];
            let parts = fresh(next.parts, &mut brought.parts, self.durable);
            let removals = fresh(next.removals, &mut brought.removals, self.durable);
            let Some(last) = parts.iter().chain(&removals).map(|(unit, _)| *unit).max() else {
                continue;
            };
            let earlier = before[kind].map_or(0, |before| self.found[before].last);
            let optional = Optional {
                before: before[kind],
                parts,
                removals,
                last: last.max(earlier),
            };
            // Both kinds have the same first changes.
            if self.found.last() != Some(&optional) {
                self.found.push(optional);
            }
            self.last[kind] = Some(self.found.len() - 1);
        }
    }
}

/// Returns the parts that are neither durable nor known, ascending. Adds them to the known ones.
fn fresh(
    parts: HashSet<PartId>,
    known: &mut HashSet<PartId>,
    durable: &HashSet<PartId>,
) -> Vec<PartId> {
    let is_fresh = |id: &PartId| !durable.contains(id) && known.insert(*id);
    let mut fresh: Vec<PartId> = parts.into_iter().filter(is_fresh).collect();
    fresh.sort_unstable();
    fresh
}
