//! Enumerates the states: choices of metadata, of lengths and of sectors.

use super::{BLOCK, Disk, Entries, Entry, Event, Kind, Model, Part, Parts, ROOT, State};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

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

    /// Returns all contents that a file can have with the chosen metadata.
    fn contents(
        &self,
        file: usize,
        chosen: &Parts,
        sector: usize,
        limit: usize,
    ) -> Option<BTreeSet<Vec<u8>>> {
        let node = &self.nodes[file];
        let mut visible: Vec<Change<'_>> = Vec::new();
        let mut base = node.durable.len();
        let mut ends: Vec<usize> = Vec::new();
        let mut growths: Vec<Range<usize>> = Vec::new();
        let mut live = node.durable.len();
        // Later bytes behind this offset wait for a truncation that is not chosen.
        let mut waiting: Option<usize> = None;
        for event in &node.events {
            let live_after = event.after().len();
            match event {
                Event::Size { unit, length, .. } if chosen.contains(&(*unit, 0)) => {
                    base = *length;
                    ends.clear();
                    growths.clear();
                    visible.push(Change::Cut(*length));
                }
                // A truncation writes zeros to the rest of its block, as data.
                Event::Size {
                    length,
                    before,
                    after,
                    ..
                } => {
                    let block_end = length.next_multiple_of(BLOCK);
                    let end = waiting.map_or(block_end, |from| from.min(block_end));
                    visible.push(Change::Bytes {
                        range: *length..end.min(*before),
                        after,
                    });
                    if self.model != Model::Posix {
                        waiting = Some(end);
                    }
                }
                Event::Sync { start, end, after } => {
                    base = length_after_sync(*start..*end, base, &ends, &growths, after.len());
                    ends.retain(|end| *end > base);
                    let range = *start..*end;
                    visible.push(Change::Synced { range, after });
                }
                Event::Write { start, end, after } | Event::Store { start, end, after } => {
                    if waiting.is_none() && matches!(event, Event::Write { .. }) {
                        ends.push(*end);
                        growths.push(live.max(*start)..*end);
                    }
                    let end = waiting.map_or(*end, |from| from.min(*end));
                    visible.push(Change::Bytes {
                        range: *start..end,
                        after,
                    });
                }
            }
            live = live_after;
        }
        let grown = ends.iter().copied().max().unwrap_or(base).max(base);
        let mut lengths: BTreeSet<usize> = (base..grown).filter(|n| n % BLOCK == 0).collect();
        lengths.extend(ends.into_iter().filter(|end| *end > base));
        lengths.insert(base);
        let mut all = BTreeSet::new();
        for length in lengths {
            let mut contents = BTreeSet::from([Vec::new()]);
            for start in (0..length).step_by(sector) {
                let sectors = sector_choices(&node.durable, &visible, start, sector);
                let kept = sector.min(length - start);
                let sectors: BTreeSet<&[u8]> = sectors.iter().map(|bytes| &bytes[..kept]).collect();
                if contents.len().saturating_mul(sectors.len()) > limit {
                    return None;
                }
                let pairs = contents
                    .iter()
                    .flat_map(|head| sectors.iter().map(move |tail| (head, tail)));
                contents = pairs.map(|(head, tail)| [head, *tail].concat()).collect();
            }
            all.extend(contents);
            if all.len() > limit {
                return None;
            }
        }
        Some(all)
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

/// A change of a file's data that the disk can have.
enum Change<'a> {
    /// The live bytes after a change of this range.
    Bytes {
        range: Range<usize>,
        after: &'a [u8],
    },
    /// The live bytes at a sync of this range.
    Synced {
        range: Range<usize>,
        after: &'a [u8],
    },
    /// A chosen truncation to this length.
    Cut(usize),
}

/// Returns the bytes that one sector can have: at the last sync, or after a change that touched it.
fn sector_choices(
    durable: &[u8],
    visible: &[Change<'_>],
    start: usize,
    sector: usize,
) -> BTreeSet<Vec<u8>> {
    let cut = |image: &[u8], later: &[Change<'_>]| {
        let tail = image.get(start..).unwrap_or_default();
        let mut bytes = tail[..tail.len().min(sector)].to_vec();
        bytes.resize(sector, 0);
        for change in later {
            if let Change::Cut(length) = change {
                let kept = length.saturating_sub(start).min(sector);
                bytes[kept..].fill(0);
            }
        }
        bytes
    };
    let mut choices = BTreeSet::from([cut(durable, visible)]);
    for (number, change) in visible.iter().enumerate() {
        if let Change::Bytes { range, after } = change
            && (range.start < range.end && range.start < start + sector && range.end > start)
        {
            choices.insert(cut(after, &visible[number + 1..]));
        }
        if let Change::Synced { range, after } = change
            && range.contains(&start)
        {
            choices = BTreeSet::from([cut(after, &visible[number + 1..])]);
        }
    }
    choices
}

/// Returns the least length after a sync of one block.
///
/// ext4 sets the length with a new block, or with a write that makes the file longer in an old one.
fn length_after_sync(
    block: Range<usize>,
    base: usize,
    ends: &[usize],
    growths: &[Range<usize>],
    live: usize,
) -> usize {
    let can_end_inside = [&[base], ends]
        .concat()
        .iter()
        .any(|n| n % BLOCK != 0 && block.contains(n));
    if !can_end_inside {
        return base.max(block.end.min(live));
    }
    let mut length = base;
    for growth in growths {
        for byte in growth.clone() {
            if block.contains(&byte) {
                length = length.max(byte + 1);
            }
        }
    }
    length
}
