//! Enumerates the states: choices of metadata, and of the contents of files.

use super::{Disk, Entries, Entry, Kind, Model, Part, Parts, ROOT, State};
use std::collections::{BTreeMap, BTreeSet};

/// The most changes whose subsets are enumerated under `Posix`.
const MOST_CHANGES: usize = 16;

impl Disk {
    /// Returns the parts of the first units.
    fn prefix(&self, length: usize) -> Parts {
        let units = self.units[..length].iter().enumerate();
        units
            .flat_map(|(unit, parts)| (0..parts.len()).map(move |part| (unit, part)))
            .collect()
    }

    /// Returns each set of parts that the disk can have, with the parts of which it has the removal
    /// of the old name alone.
    pub(super) fn metadata_choices(&self) -> Option<BTreeSet<(Parts, Parts)>> {
        match self.model {
            Model::Posix => self.subsets(),
            Model::Journaled => {
                let mut all = BTreeSet::new();
                for length in 0..=self.units.len() {
                    for (extras, count) in self.extra_counts() {
                        let mut chosen = &self.synced | &self.prefix(length);
                        let mut removed = Parts::new();
                        for (brought, lost) in &extras[..count] {
                            chosen.extend(brought);
                            removed.extend(lost);
                        }
                        removed = &removed - &chosen;
                        all.insert((chosen, removed));
                    }
                }
                Some(all)
            }
            Model::Ext4Ordered => {
                let lengths = self.committed..=self.units.len();
                let chosen = lengths.map(|length| (self.prefix(length), Parts::new()));
                Some(chosen.collect())
            }
        }
    }

    /// Returns each list of extras, with each number of them.
    fn extra_counts(&self) -> impl Iterator<Item = (&[(Parts, Parts)], usize)> {
        let lists = self.extras.iter();
        lists.flat_map(|list| (0..=list.len()).map(move |count| (&list[..], count)))
    }

    /// Returns the synced parts with any of the changes that no sync covers.
    fn subsets(&self) -> Option<BTreeSet<(Parts, Parts)>> {
        let mut changes: Vec<Parts> = Vec::new();
        for (unit, parts) in self.units.iter().enumerate() {
            let directories: BTreeSet<_> = parts
                .iter()
                .filter_map(Part::place)
                .map(|place| place.0)
                .collect();
            let keys = (0..parts.len()).map(|part| (unit, part));
            if directories.len() > 1 {
                changes.extend(keys.map(|key| Parts::from([key])));
            } else {
                changes.push(keys.collect());
            }
        }
        changes.retain(|change| !change.is_subset(&self.synced));
        let extras = self.extras.iter().flatten();
        let removals: Parts = extras.flat_map(|(_, lost)| lost).copied().collect();
        let removals = Vec::from_iter(&removals - &self.synced);
        if changes.len() + removals.len() > MOST_CHANGES {
            return None;
        }
        let mut subsets = BTreeSet::new();
        for subset in 0..1_u32 << (changes.len() + removals.len()) {
            let is_in = |number: &usize| subset & (1 << number) != 0;
            let mut chosen = self.synced.clone();
            for number in (0..changes.len()).filter(is_in) {
                chosen.extend(&changes[number]);
            }
            let removed = removals.iter().enumerate();
            let removed = removed.filter(|(number, _)| is_in(&(changes.len() + number)));
            let removed: Parts = removed.map(|(_, part)| *part).collect();
            let removed = &removed - &chosen;
            subsets.insert((chosen, removed));
        }
        Some(subsets)
    }

    /// Returns all states whose metadata are the chosen parts.
    pub(super) fn states_with(
        &self,
        chosen: &Parts,
        removed: &Parts,
        sector: usize,
        limit: usize,
    ) -> Option<Vec<State>> {
        let mut entries = self.first_entries.clone();
        let mut modes = self
            .nodes
            .iter()
            .map(|node| node.first_mode)
            .collect::<Vec<_>>();
        for (unit, part) in &(chosen | removed) {
            match &self.units[*unit][*part] {
                Part::Entry { place, .. } if removed.contains(&(*unit, *part)) => {
                    entries.remove(place);
                }
                Part::Entry {
                    place,
                    new: Some(node),
                    ..
                } => {
                    entries.insert(place.clone(), *node);
                }
                Part::Entry {
                    place, new: None, ..
                } => {
                    entries.remove(place);
                }
                Part::Mode { node, mode } => modes[*node] = *mode,
                Part::Size { .. } | Part::Unnamed { .. } => {}
            }
        }
        let paths = self.reachable(&entries);
        let files: BTreeSet<usize> = paths.values().copied().collect();
        let mut choices: Vec<BTreeMap<usize, Vec<u8>>> = vec![BTreeMap::new()];
        for file in files
            .into_iter()
            .filter(|node| self.nodes[*node].kind == Kind::File)
        {
            let contents = self.contents(file, chosen, sector, limit)?;
            if choices.len().saturating_mul(contents.len()) > limit {
                return None;
            }
            let mut longer = Vec::new();
            for choice in &choices {
                for content in &contents {
                    let mut choice = choice.clone();
                    choice.insert(file, content.clone());
                    longer.push(choice);
                }
            }
            choices = longer;
        }
        Some(
            choices
                .iter()
                .map(|bytes| self.state(&paths, &modes, bytes))
                .collect(),
        )
    }

    /// Returns the node of each path that leads from the root.
    pub(super) fn reachable(&self, entries: &Entries) -> BTreeMap<String, usize> {
        let mut paths = BTreeMap::new();
        self.descend(entries, &[ROOT], "", &mut paths);
        paths
    }

    /// Adds the paths below the last of the directories. `above` has the directories on the way.
    fn descend(
        &self,
        entries: &Entries,
        above: &[usize],
        prefix: &str,
        paths: &mut BTreeMap<String, usize>,
    ) {
        for ((directory, name), node) in entries {
            // A lost part of a rename can put a directory into itself: that entry is not shown.
            if Some(directory) != above.last() || above.contains(node) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if self.is_directory(*node) {
                self.descend(
                    entries,
                    &[above, &[*node]].concat(),
                    &format!("{path}/"),
                    paths,
                );
            }
            paths.insert(path, *node);
        }
    }

    pub(super) fn state(
        &self,
        paths: &BTreeMap<String, usize>,
        modes: &[u32],
        bytes: &BTreeMap<usize, Vec<u8>>,
    ) -> State {
        let entry = |node: usize| match &self.nodes[node].kind {
            Kind::Directory => Entry::Directory { mode: modes[node] },
            Kind::Symlink(target) => Entry::Symlink(target.clone()),
            Kind::File => Entry::File {
                mode: modes[node],
                bytes: bytes[&node].clone(),
            },
        };
        paths
            .iter()
            .map(|(path, node)| (path.clone(), entry(*node)))
            .collect()
    }
}
