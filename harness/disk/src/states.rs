//! The states that a disk can have after a loss of power.

use crate::content::{ContentChoice, ContentChoices};
use crate::durable::Durable;
use crate::durable_bytes::PAGE;
use crate::file_system::{FileSystem, NodeId};
use crate::journal::Journal;
use crate::metadata::{Extent, Included, MetadataChoices};
use crate::power_loss::PowerLoss;
use crate::representatives;
use crate::snapshot::Snapshot;
use std::rc::Rc;
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
    power_loss: PowerLoss,
    sector_size: usize,
}

/// A choice of one possible state, whose content is not built yet.
#[derive(Clone, Debug)]
pub struct Choice {
    tree: Rc<Tree>,
    contents: Vec<ContentChoice>,
}

/// A choice of metadata, with the choices of all named files.
#[derive(Debug)]
struct Tree {
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
    /// When `sector_size` does not divide 4,096.
    pub fn with_states<T>(
        &self,
        calls: usize,
        power_loss: PowerLoss,
        sector_size: usize,
        work: impl FnOnce(&States<'_>) -> T,
    ) -> T {
        assert!(
            sector_size > 0 && PAGE.is_multiple_of(sector_size),
            "expected a sector size that divides {PAGE}, found {sector_size}"
        );
        work(&States {
            journal: self,
            durable: &Durable::after(self, calls, power_loss),
            calls,
            power_loss,
            sector_size,
        })
    }
}

impl States<'_> {
    /// Returns all choices, or `None` if there are more than `limit`. Some lead to equal states.
    #[must_use]
    pub fn all(&self, limit: usize) -> Option<Vec<Choice>> {
        let metadata = MetadataChoices::new(self.durable, self.power_loss);
        let mut choices = Vec::new();
        for number in 0..metadata.count(limit)? {
            let tree = Rc::new(self.tree(metadata.nth(number)));
            let files = tree.files.iter();
            let counts: Vec<usize> = files
                .map(|(_, file)| file.count(limit))
                .collect::<Option<_>>()?;
            let multiply = |all: usize, count: &usize| all.checked_mul(*count);
            let total = counts.iter().try_fold(1, multiply)?;
            if choices.len().checked_add(total)? > limit {
                return None;
            }
            for mut number in 0..total {
                let mut contents = Vec::new();
                for ((_, file), count) in tree.files.iter().zip(&counts) {
                    contents.push(file.nth(number % count));
                    number /= count;
                }
                let tree = Rc::clone(&tree);
                choices.push(Choice { tree, contents });
            }
        }
        Some(choices)
    }

    /// Returns representative choices: first the one without losses, then those with few losses,
    /// then those with many. Some lead to equal states.
    #[must_use]
    pub fn representatives(&self) -> Vec<Choice> {
        let metadata = MetadataChoices::new(self.durable, self.power_loss);
        let whole = |tree: &Rc<Tree>| Choice {
            contents: tree.files.iter().map(|(_, file)| file.latest()).collect(),
            tree: Rc::clone(tree),
        };
        let complete = Rc::new(self.tree(metadata.complete()));
        let mut choices = vec![whole(&complete)];
        for (index, (_, file)) in complete.files.iter().enumerate() {
            for content in representatives::of(file) {
                let mut choice = whole(&complete);
                choice.contents[index] = content;
                choices.push(choice);
            }
        }
        for included in metadata.representatives() {
            let tree = Rc::new(self.tree(included));
            let unsynced = |length: fn(&ContentChoices) -> usize| Choice {
                contents: tree
                    .files
                    .iter()
                    .map(|(_, file)| file.earliest(length(file)))
                    .collect(),
                tree: Rc::clone(&tree),
            };
            choices.push(whole(&tree));
            choices.push(unsynced(|file| file.lengths[0]));
            choices.push(unsynced(ContentChoices::grown));
        }
        choices
    }

    /// Draws a choice. `pick` returns a random number below its argument.
    pub fn draw(&self, pick: &mut dyn FnMut(usize) -> usize) -> Choice {
        let tree = self.tree(MetadataChoices::new(self.durable, self.power_loss).draw(pick));
        let files = tree.files.iter();
        Choice {
            contents: files.map(|(_, file)| file.draw(pick)).collect(),
            tree: Rc::new(tree),
        }
    }

    /// Applies the included metadata to the file system before the first call.
    fn tree(&self, included: Included) -> Tree {
        let mut disk = self.journal.before.clone();
        for (number, unit) in self.durable.units.iter().enumerate() {
            for (part_number, part) in unit.parts.iter().enumerate() {
                match included.extent((number, part_number)) {
                    Extent::Whole if !part.is_size() => disk.apply_part(part),
                    Extent::Removal => disk.remove_replaced(part),
                    Extent::Whole | Extent::Missing => {}
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
                self.power_loss,
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

    /// Builds the state of a choice, which one of the methods above has returned.
    #[must_use]
    pub fn state(&self, choice: &Choice) -> State {
        let Choice { tree, contents } = choice;
        let snapshot = tree.disk.to_snapshot(|node, file| {
            let chosen = tree.files.iter().zip(contents);
            let found = chosen.into_iter().find(|((other, _), _)| *other == node);
            match found {
                Some(((_, choices), choice)) => choices.bytes(choice),
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
