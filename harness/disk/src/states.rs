//! The states that a disk can have after a loss of power.

use crate::content::{ContentChoice, ContentChoices};
use crate::durable::Durable;
use crate::file_system::{FileSystem, NodeId};
use crate::journal::Journal;
use crate::metadata::{Included, MetadataChoices};
use crate::power_loss::PowerLoss;
use crate::representatives;
use crate::snapshot::Snapshot;
use std::collections::HashSet;
use std::sync::Arc;

/// The unit, in bytes, that disks write completely or not at all, unless a store says otherwise.
// Disks have promised this for decades.
pub const SECTOR_SIZE: usize = 512;

/// A possible state of the disk after a loss of power.
#[derive(Clone, Debug)]
pub struct State {
    /// The content of the disk.
    pub snapshot: Snapshot,
    /// The indices of the calls whose changes are missing, completely or in part, ascending.
    pub missing: Vec<usize>,
}

/// All possible states of the disk if the power fails after some calls.
#[derive(Debug)]
pub struct States<'a> {
    journal: &'a Journal,
    durable: &'a Durable<'a>,
    calls: usize,
    model: PowerLoss,
    sector_size: usize,
}

/// A choice of metadata, with the named files and their choices.
pub(crate) struct Tree {
    disk: FileSystem,
    included: Included,
    files: Vec<(NodeId, ContentChoices)>,
}

impl Journal {
    /// Calls `work` with the possible states of the disk if the power fails after the first `calls`
    /// calls, and before the next call has any effect.
    ///
    /// A sync among these calls has finished. `sector_size` is the unit in bytes that the disk
    /// writes completely or not at all, usually [`SECTOR_SIZE`].
    ///
    /// # Panics
    ///
    /// When `sector_size` is 0.
    pub fn with_states<T>(
        &self,
        calls: usize,
        model: PowerLoss,
        sector_size: usize,
        work: impl FnOnce(&States<'_>) -> T,
    ) -> T {
        assert!(
            sector_size > 0,
            "expected a sector size of at least 1, found 0"
        );
        work(&States {
            journal: self,
            durable: &Durable::after(self, calls, model),
            calls,
            model,
            sector_size,
        })
    }
}

impl States<'_> {
    /// Returns all distinct states, or `None` if there are more than `limit`. Also returns `None`
    /// if there are more than `64 * limit` choices.
    #[must_use]
    pub fn all(&self, limit: usize) -> Option<Vec<State>> {
        let metadata = MetadataChoices::new(self.durable, self.model);
        let mut choices = limit.saturating_mul(64);
        let (mut seen, mut states) = (HashSet::new(), Vec::new());
        let mut trees = HashSet::new();
        for number in 0..metadata.count(choices)? {
            let included = metadata.nth(number);
            if !trees.insert(included.clone()) {
                continue;
            }
            let tree = self.tree(included);
            let counts: Option<Vec<usize>> = tree
                .files
                .iter()
                .map(|(_, file)| file.count(choices))
                .collect();
            let counts = counts?;
            let total = counts
                .iter()
                .try_fold(1_usize, |all, count| all.checked_mul(*count))?;
            choices = choices.checked_sub(total)?;
            for mut number in 0..total {
                let mut contents = Vec::new();
                for ((_, file), count) in tree.files.iter().zip(&counts) {
                    contents.push(file.nth(number % count));
                    number /= count;
                }
                let state = self.state(&tree, &contents);
                if seen.insert(state.snapshot.clone()) {
                    if seen.len() > limit {
                        return None;
                    }
                    states.push(state);
                }
            }
        }
        Some(states)
    }

    /// Returns representative states, without duplicates: first the one without losses, then those
    /// with few losses, then those with many.
    pub fn representatives(&self) -> impl Iterator<Item = State> {
        let metadata = MetadataChoices::new(self.durable, self.model);
        let mut seen = HashSet::new();
        let mut states = Vec::new();
        let mut add = |tree: &Tree, contents: &[ContentChoice]| {
            let state = self.state(tree, contents);
            if seen.insert(state.snapshot.clone()) {
                states.push(state);
            }
        };
        let whole = |tree: &Tree| -> Vec<ContentChoice> {
            tree.files.iter().map(|(_, file)| file.latest()).collect()
        };
        let complete = self.tree(metadata.complete());
        add(&complete, &whole(&complete));
        for (index, (_, file)) in complete.files.iter().enumerate() {
            for choice in representatives::of(file) {
                let mut contents = whole(&complete);
                contents[index] = choice;
                add(&complete, &contents);
            }
        }
        for included in metadata.representatives() {
            let tree = self.tree(included);
            add(&tree, &whole(&tree));
            let unsynced = |length: &dyn Fn(&ContentChoices) -> usize| -> Vec<ContentChoice> {
                let files = tree.files.iter();
                files.map(|(_, file)| file.earliest(length(file))).collect()
            };
            add(&tree, &unsynced(&|file| file.lengths[0]));
            add(&tree, &unsynced(&ContentChoices::grown));
        }
        states.into_iter()
    }

    /// Draws a state. `pick` returns a random number below its argument.
    pub fn draw(&self, pick: &mut dyn FnMut(usize) -> usize) -> State {
        let tree = self.tree(MetadataChoices::new(self.durable, self.model).draw(pick));
        let contents: Vec<ContentChoice> =
            tree.files.iter().map(|(_, file)| file.draw(pick)).collect();
        self.state(&tree, &contents)
    }

    /// Applies the included metadata to the file system before the first call.
    fn tree(&self, included: Included) -> Tree {
        let mut disk = self.journal.before.clone();
        for (number, unit) in self.durable.units.iter().enumerate() {
            for (part_number, part) in unit.parts.iter().enumerate() {
                if included.has((number, part_number)) && !part.is_size() {
                    disk.apply_part(part);
                }
            }
        }
        let content = |file: NodeId| {
            let choices = ContentChoices::new(
                self.journal,
                self.durable,
                self.calls,
                file,
                &included,
                self.model,
                self.sector_size,
            );
            (file, choices)
        };
        let files = disk.named_files().into_iter().map(content).collect();
        Tree {
            disk,
            included,
            files,
        }
    }

    fn state(&self, tree: &Tree, contents: &[ContentChoice]) -> State {
        let snapshot = tree.disk.to_snapshot(|node, file| {
            let chosen = tree.files.iter().zip(contents);
            let found = chosen.into_iter().find(|((other, _), _)| *other == node);
            match found {
                Some(((_, choices), choice)) => Arc::new(choices.bytes(choice)),
                None => Arc::clone(&file.bytes),
            }
        });
        let units = self.durable.units.iter().enumerate();
        let lost = units.filter(|(number, _)| !tree.included.has_unit(*number));
        let mut missing: Vec<usize> = lost.map(|(_, unit)| unit.call).collect();
        for ((_, choices), choice) in tree.files.iter().zip(contents) {
            missing.extend(choices.missing(choice));
        }
        missing.sort_unstable();
        missing.dedup();
        State { snapshot, missing }
    }
}
