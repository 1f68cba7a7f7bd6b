//! The parts of changes that belong to the names of a file.

use crate::file_system::{FileSystem, NodeId, Slot};
use crate::journal::Part;
use crate::renames::is_within_one_directory;
use crate::unit::PartId;
use std::collections::{HashMap, HashSet};

/// An index of the metadata changes so far, by the nodes and the entries that they are about.
#[derive(Debug, Default)]
pub(crate) struct Names<'a> {
    units: Vec<&'a [Part]>,
    /// The changes about each file and directory, ascending.
    by_node: HashMap<NodeId, Vec<usize>>,
    /// The changes of each entry, ascending, with the file or directory that each is about.
    by_slot: HashMap<&'a Slot, Vec<(usize, Option<NodeId>)>>,
    /// The files that were created without a name, and have none yet.
    unnamed: HashSet<NodeId>,
    /// The part that gives the first name to each file or directory that a change creates.
    first_names: HashMap<NodeId, PartId>,
}

impl<'a> Names<'a> {
    /// Adds the next change.
    pub(crate) fn add(&mut self, parts: &'a [Part]) {
        let unit = self.units.len();
        self.units.push(parts);
        for (number, part) in parts.iter().enumerate() {
            match part {
                Part::Entry {
                    slot,
                    node,
                    previous,
                    creates,
                } => {
                    for node in [node, previous].into_iter().flatten() {
                        self.note(*node, unit);
                    }
                    if let Some(node) = node
                        && (*creates || self.unnamed.remove(node))
                    {
                        self.first_names.insert(*node, (unit, number));
                    }
                    let changes = self.by_slot.entry(slot).or_default();
                    changes.push((unit, node.or(*previous)));
                }
                Part::Unnamed { node } => {
                    self.unnamed.insert(*node);
                    self.note(*node, unit);
                }
                Part::Mode { node, .. } | Part::Times { node, .. } => self.note(*node, unit),
                Part::Size { .. } => {}
            }
        }
    }

    /// Returns the number of the last change.
    pub(crate) fn last(&self) -> usize {
        self.units.len() - 1
    }

    fn note(&mut self, node: NodeId, unit: usize) {
        let units = self.by_node.entry(node).or_default();
        if units.last() != Some(&unit) {
            units.push(unit);
        }
    }

    /// Lists the parts that set the mode or the times of a file, that create it without a name, or
    /// that set or remove a name of the file or of a directory above it.
    ///
    /// The rename of another file over the file is not among these parts: Btrfs need not bring it.
    pub(crate) fn parts(&self, live: &FileSystem, file: NodeId) -> HashSet<PartId> {
        let mut nodes = live.ancestors(file);
        nodes.push(file);
        let is_own = |part: &Part| {
            matches!(part,
                Part::Mode { node, .. } | Part::Times { node, .. } | Part::Unnamed { node }
                if *node == file)
        };
        let mut found = HashSet::new();
        let units = nodes.iter().filter_map(|node| self.by_node.get(node));
        for unit in units.flatten().copied() {
            let parts = self.units[unit];
            let sets = |wanted: NodeId| {
                let is_set = |part: &Part| matches!(part, Part::Entry { node: Some(node), .. } if *node == wanted);
                parts.iter().any(is_set)
            };
            let is_name = |part: &Part| match part {
                Part::Entry { node, previous, .. } => {
                    node.is_some_and(|node| nodes.contains(&node))
                        || previous.is_some_and(|previous| {
                            nodes.contains(&previous) && (node.is_none() || sets(previous))
                        })
                }
                _ => false,
            };
            // A rename within one directory is one change.
            let is_whole = is_within_one_directory(parts) && parts.iter().any(is_name);
            for (number, part) in parts.iter().enumerate() {
                if is_whole || is_name(part) || is_own(part) {
                    found.insert((unit, number));
                }
            }
        }
        found
    }

    /// Adds each change that freed the entry of one of the parts, unless the change belongs to a
    /// file whose first name is missing: Btrfs need not bring a new file that had the name before.
    pub(crate) fn close(&self, parts: &mut HashSet<PartId>) {
        let is_there = |file: Option<NodeId>, parts: &HashSet<PartId>| {
            let first_name = file.and_then(|file| self.first_names.get(&file));
            first_name.is_none_or(|id| parts.contains(id))
        };
        loop {
            let before = parts.len();
            // The last change of each entry among the parts frees the entry from all earlier ones.
            let mut last: HashMap<&Slot, usize> = HashMap::new();
            for (unit, number) in parts.iter() {
                if let Part::Entry { slot, .. } = &self.units[*unit][*number] {
                    let last = last.entry(slot).or_default();
                    *last = (*last).max(*unit);
                }
            }
            for (slot, last) in last {
                let changes = &self.by_slot[slot];
                for (unit, file) in changes.iter().take_while(|(unit, _)| *unit < last) {
                    if is_there(*file, parts) {
                        parts.extend((0..self.units[*unit].len()).map(|number| (*unit, number)));
                    }
                }
            }
            if parts.len() == before {
                return;
            }
        }
    }
}
