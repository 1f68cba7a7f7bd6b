//! Syncs: the parts and the bytes that they make durable.

use super::{BLOCK, Disk, Event, Model, Part, Parts, ROOT};
use std::collections::BTreeSet;
use std::ops::Range;

impl Disk {
    pub(super) fn fsync(&mut self, file: usize) {
        if self.nodes[file].data_dirty || self.nodes[file].meta_dirty {
            self.sync_file(file, true);
        }
        self.log_file(file);
    }

    pub(super) fn fdatasync(&mut self, file: usize) {
        if self.nodes[file].data_dirty || self.is_new(file) {
            self.sync_file(file, false);
        }
        self.log_file(file);
    }

    /// Btrfs logs the names of a file at each sync of the file.
    pub(super) fn log_file(&mut self, file: usize) {
        let names = self.names_to(file);
        for list in &mut self.extras {
            list.push((names.clone(), Parts::new()));
        }
        self.logged.insert(file);
    }

    /// Btrfs logs a change of a logged file's names at once, and brings it with any later sync.
    pub(super) fn log_change(&mut self) {
        let with = self.log_of_change(&|node| self.logged.contains(&node));
        let unit = self.units.last().expect("there was a change");
        let sources: Vec<usize> = unit
            .iter()
            .filter_map(|part| match part {
                Part::Entry {
                    old: Some(old),
                    new: None,
                    ..
                } => Some(*old),
                _ => None,
            })
            .filter(|moved| {
                unit.iter().any(|part| {
                    matches!(part,
                Part::Entry { old: Some(old), new: Some(new), .. }
                    if new == moved && self.logged.contains(old))
                })
            })
            .collect();
        let is_logged = |node| self.logged.contains(&node) && !sources.contains(&node);
        let without = self.log_of_change(&is_logged);
        self.extras[0].push(with);
        self.extras[1].push(without);
    }

    fn log_of_change(&self, is_logged: &dyn Fn(usize) -> bool) -> (Parts, Parts) {
        let unit = self.units.len() - 1;
        let (mut brought, mut removed) = (Parts::new(), Parts::new());
        for (number, part) in self.units[unit].iter().enumerate() {
            let Part::Entry { old, new, .. } = part else {
                continue;
            };
            let logged = |node: &Option<usize>| node.filter(|node| is_logged(*node));
            match (logged(new), logged(old)) {
                (Some(file), _) => brought.extend(self.names_to(file)),
                (None, Some(file)) if new.is_none() => brought.extend(self.names_to(file)),
                // The log loses the old name, and has no new one.
                (None, Some(_)) => drop(removed.insert((unit, number))),
                (None, None) => {}
            }
        }
        (brought, removed)
    }

    /// Returns the parts that lead to the file, and the parts that freed names.
    fn names_to(&self, file: usize) -> Parts {
        self.closed(self.path_parts(file))
    }

    /// Returns the modes of the file, and its names and those of the directories above it.
    fn path_parts(&self, file: usize) -> Parts {
        let mut parts = self.modes(file);
        parts.extend(self.names(file));
        for directory in self.directories_to(file) {
            parts.extend(self.names(directory));
        }
        parts
    }

    /// Tells whether the program created the file and no sync brought its creation.
    pub(super) fn is_new(&self, file: usize) -> bool {
        self.nodes[file]
            .created
            .is_some_and(|unit| match self.model {
                Model::Posix | Model::Journaled => !self.synced.contains(&(unit, 0)),
                Model::Ext4Ordered => unit >= self.committed,
            })
    }

    fn sync_file(&mut self, file: usize, full: bool) {
        self.sync_metadata(file, full, 0..usize::MAX);
        self.make_bytes_durable(file);
        self.nodes[file].data_dirty = false;
    }

    /// Syncs the changed bytes of these blocks, and the metadata as after a sync of all bytes.
    pub(super) fn sync_blocks(&mut self, file: usize, blocks: Range<usize>, full: bool) {
        self.sync_metadata(file, full, blocks.clone());
        self.log_file(file);
        let node = &mut self.nodes[file];
        let written: Vec<usize> = node.dirty_blocks.range(blocks).copied().collect();
        node.dirty_blocks.retain(|block| !written.contains(block));
        node.data_dirty = !node.dirty_blocks.is_empty();
        // The times of the other blocks' writes are there, but a later fsync has bytes to bring.
        node.meta_dirty |= node.data_dirty;
        for block in written {
            node.events.push(Event::Sync {
                start: block * BLOCK,
                end: (block + 1) * BLOCK,
                after: node.bytes.clone(),
            });
        }
    }

    fn sync_metadata(&mut self, file: usize, full: bool, blocks: Range<usize>) {
        let with_metadata = full || self.is_new(file) && self.model != Model::Posix;
        let node = &self.nodes[file];
        let is_synced = |block: &usize| blocks.contains(block) && node.dirty_blocks.contains(block);
        // ext4 sets the greater length with the bytes behind the old one.
        let grown = node.growths.iter().filter(|(_, bytes)| {
            let mut of_growth = bytes.start / BLOCK..bytes.end.div_ceil(BLOCK);
            blocks.end == usize::MAX || of_growth.any(|block| is_synced(&block))
        });
        let grown = grown.map(|(step, _)| *step).max().unwrap_or_default();
        let datasync_step = node.datasync_step.max(grown);
        self.commit_until(if full { node.sync_step } else { datasync_step });
        match self.model {
            Model::Posix => {
                self.synced.extend(self.sizes(file));
                if full {
                    self.synced.extend(self.modes(file));
                }
            }
            Model::Journaled => {
                self.synced.extend(self.sizes(file));
                if with_metadata {
                    self.synced.extend(self.path_parts(file));
                    self.close();
                }
            }
            Model::Ext4Ordered => {}
        }
        // ext4 need not have committed the later changes of a new file with an fdatasync.
        let node = &mut self.nodes[file];
        if with_metadata && (full || node.sync_step <= datasync_step) {
            node.meta_dirty = false;
        }
    }

    pub(super) fn fsync_directory(&mut self, directory: usize) {
        self.commit_until(self.nodes[directory].sync_step);
        let inside = self
            .entries
            .iter()
            .filter(|(place, _)| place.0 == directory);
        self.logged.extend(inside.map(|(_, node)| *node));
        match self.model {
            Model::Posix => {
                self.synced.extend(self.parts_in(directory));
                self.synced.extend(self.modes(directory));
            }
            Model::Journaled => {
                let inside = self.parts_in(directory);
                for (unit, part) in &inside {
                    let parts = &self.units[*unit];
                    let moves_out = parts.iter().any(|other| match (&parts[*part], other) {
                        (
                            Part::Entry {
                                old: Some(moved), ..
                            },
                            Part::Entry { new, .. },
                        ) => *new == Some(*moved),
                        _ => false,
                    });
                    if moves_out {
                        self.synced
                            .extend((0..parts.len()).map(|part| (*unit, part)));
                    }
                }
                self.synced.extend(inside);
                self.synced.extend(self.modes(directory));
                self.close();
            }
            Model::Ext4Ordered => {}
        }
    }

    pub(super) fn sync_all(&mut self) {
        self.synced = self.parts_that(|_| true);
        self.logged.clear();
        self.extras = [Vec::new(), Vec::new()];
        self.committed = self.units.len();
        for node in 0..self.nodes.len() {
            self.make_bytes_durable(node);
            self.nodes[node].data_dirty = false;
            self.nodes[node].meta_dirty = false;
        }
    }

    fn make_bytes_durable(&mut self, file: usize) {
        let node = &mut self.nodes[file];
        node.behind = node.bytes_behind_end();
        node.durable = node.bytes.clone();
        node.events.clear();
        node.dirty_blocks.clear();
    }

    /// Commits the units up to the last change of the synced node, as ext4 does. It may have
    /// committed this change on its own: then the sync commits no later unit.
    fn commit_until(&mut self, last_change: usize) {
        let is_earlier = |step: &&usize| **step <= last_change;
        let count = self.unit_steps.iter().filter(is_earlier).count();
        self.committed = self.committed.max(count);
    }

    /// Removes the parts that ext4 has not committed. Adds the earlier parts on each synced entry,
    /// with all parts of their units.
    fn close(&mut self) {
        self.synced.retain(|(unit, _)| *unit < self.committed);
        self.synced = self.closed(self.synced.clone());
    }

    fn closed(&self, mut all: Parts) -> Parts {
        loop {
            let mut closed = all.clone();
            for (unit, part) in &all {
                let Some(place) = self.units[*unit][*part].place() else {
                    continue;
                };
                for earlier in 0..*unit {
                    let parts = &self.units[earlier];
                    // Btrfs need not bring a new file that had the name before.
                    let is_there = |part: &Part| match part {
                        Part::Entry { old, new, .. } => new
                            .or(*old)
                            .and_then(|node| self.nodes[node].first_named)
                            .is_none_or(|named| all.contains(&(named, 0))),
                        Part::Size { .. } | Part::Mode { .. } | Part::Unnamed { .. } => false,
                    };
                    let mut on_place = parts.iter().filter(|part| part.place() == Some(place));
                    if on_place.any(is_there) {
                        closed.extend((0..parts.len()).map(|part| (earlier, part)));
                    }
                }
            }
            if closed == all {
                return all;
            }
            all = closed;
        }
    }

    /// Returns each directory that leads to a present name of the file, without the root.
    fn directories_to(&self, file: usize) -> BTreeSet<usize> {
        let mut directories = BTreeSet::new();
        let mut below = vec![file];
        while let Some(child) = below.pop() {
            for (directory, _) in self
                .entries
                .iter()
                .filter(|(_, node)| **node == child)
                .map(|(place, _)| place)
            {
                if *directory != ROOT {
                    directories.insert(*directory);
                    below.push(*directory);
                }
            }
        }
        directories
    }

    /// Returns the parts that set or remove a name of the node, but not those of a rename over it.
    /// Of a rename within one directory, returns both parts.
    fn names(&self, wanted: usize) -> Parts {
        let mut found = Parts::new();
        for (unit, parts) in self.units.iter().enumerate() {
            let is_replaced = |part: &Part| {
                matches!(part,
                Part::Entry { old, new: Some(new), .. } if *old == Some(wanted) && *new != wanted)
            };
            let sets = |part: &Part| {
                matches!(part,
                Part::Entry { new: Some(new), .. } if *new == wanted)
            };
            let stays = parts.iter().any(sets);
            let is_named = |part: &Part| part.names(wanted) && (stays || !is_replaced(part));
            let directories: BTreeSet<_> = parts
                .iter()
                .filter_map(Part::place)
                .map(|place| place.0)
                .collect();
            let whole = directories.len() == 1 && parts.iter().any(is_named);
            for (number, part) in parts.iter().enumerate() {
                if whole || is_named(part) {
                    found.insert((unit, number));
                }
            }
        }
        found
    }

    /// Returns the parts on entries of the directory.
    fn parts_in(&self, directory: usize) -> Parts {
        self.parts_that(|part| part.place().is_some_and(|place| place.0 == directory))
    }

    fn sizes(&self, wanted: usize) -> Parts {
        self.parts_that(|part| matches!(part, Part::Size { file, .. } if *file == wanted))
    }

    fn modes(&self, wanted: usize) -> Parts {
        self.parts_that(|part| matches!(part, Part::Mode { node, .. } if *node == wanted))
    }

    fn parts_that(&self, fits: impl Fn(&Part) -> bool) -> Parts {
        let mut found = Parts::new();
        for (unit, parts) in self.units.iter().enumerate() {
            for (number, part) in parts.iter().enumerate() {
                if fits(part) {
                    found.insert((unit, number));
                }
            }
        }
        found
    }
}
