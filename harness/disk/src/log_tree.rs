//! Changes of names that Btrfs brings although earlier changes are missing.
//!
//! A sync of a file writes the file's names to the log tree. `fdatasync` does so, too. Until the
//! next commit, later changes of these names go to the log tree as well. They reach the disk with
//! the sync of any other file. When a file replaces a file of the log tree, the log tree loses the
//! name. If the new file is not in the log tree, the name is missing after a loss of power.

use crate::file_system::{FileSystem, NodeId};
use crate::journal::{Event, Journal, Part};
use crate::names;
use crate::power_loss::PowerLoss;
use crate::unit::{PartId, Unit};
use std::collections::HashSet;

/// Changes that the disk can have besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Optional {
    pub(crate) parts: HashSet<PartId>,
    /// The parts of which only the removal of the replaced name is there.
    pub(crate) removals: HashSet<PartId>,
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
    let is_open = |id: &PartId| !durable.contains(id);
    let ids = |unit: usize| (0..units[unit].parts.len()).map(move |part| (unit, part));
    let has_open = |unit: usize| ids(unit).any(|id| is_open(&id));
    // Most explorations end here.
    if power_loss == PowerLoss::Ext4Ordered || !(0..units.len()).any(has_open) {
        return Vec::new();
    }
    let mut found: Vec<Optional> = Vec::new();
    for replacing in [Replacing::IfSynced, Replacing::Never] {
        let mut brought = Optional::default();
        for next in changes(journal, units, calls, replacing) {
            let before = brought.clone();
            if power_loss == PowerLoss::Journaled {
                brought.parts.extend(next.parts.into_iter().filter(is_open));
            }
            brought
                .removals
                .extend(next.removals.into_iter().filter(is_open));
            if brought != before && !found.contains(&brought) {
                found.push(brought.clone());
            }
        }
    }
    found
}

/// Lists the changes of the log tree, in the order of time.
fn changes(
    journal: &Journal,
    units: &[Unit<'_>],
    calls: usize,
    replacing: Replacing,
) -> Vec<Optional> {
    let mut live = journal.before.clone();
    let mut logged: HashSet<NodeId> = HashSet::new();
    let mut found: Vec<Optional> = Vec::new();
    let mut made = 0;
    for event in journal.until(calls).iter().map(|logged| &logged.event) {
        live.apply(event);
        match event {
            Event::Metadata(parts) => {
                made += 1;
                let change = of_change(&units[..made], &live, &logged, parts, replacing);
                found.push(change);
            }
            Event::Sync { node, .. } if live.file(*node).is_some() => {
                found.push(Optional {
                    parts: names_of(&units[..made], &live, *node),
                    ..Optional::default()
                });
                logged.insert(*node);
            }
            Event::Sync { node, .. } => logged.extend(live.children(*node)),
            Event::SyncAll => {
                logged.clear();
                found.clear();
            }
            // Then the file system accepts no changes.
            Event::FailedSync { node } if live.file(*node).is_none() => break,
            Event::Write { .. } | Event::FailedSync { .. } => {}
        }
    }
    found
}

/// Returns the changes that the log tree takes from the last of the units.
fn of_change(
    units: &[Unit<'_>],
    live: &FileSystem,
    logged: &HashSet<NodeId>,
    parts: &[Part],
    replacing: Replacing,
) -> Optional {
    let mut optional = Optional::default();
    let is_logged = |node: &Option<NodeId>| node.is_some_and(|node| logged.contains(&node));
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
            optional.removals.insert((units.len() - 1, number));
        }
    }
    for part in parts {
        if let Part::Entry { node, previous, .. } = part
            && let Some(file) = node.or(*previous)
            && logged.contains(&file)
            && outside != Some(file)
        {
            optional.parts.extend(names_of(units, live, file));
        }
    }
    optional
}

fn names_of(units: &[Unit<'_>], live: &FileSystem, file: NodeId) -> HashSet<PartId> {
    let mut parts = names::parts(units, live, file);
    names::close(units, &mut parts);
    parts
}
