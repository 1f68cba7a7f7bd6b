//! The states that a disk can have after a loss of power.

use crate::content::{ContentChoice, ContentChoices};
use crate::durable::Durable;
use crate::durable_bytes::PAGE;
use crate::file_system::{FileSystem, NodeId};
use crate::journal::{Event, Journal, Part};
use crate::metadata::{Extent, Included, Kept, MetadataChoices};
use crate::power_loss::PowerLoss;
use crate::representatives::{self, Content};
use crate::snapshot::Snapshot;
use crate::sparse_bytes::SparseBytes;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

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
    pub(crate) durable: &'a Durable<'a>,
    calls: usize,
    pub(crate) power_loss: PowerLoss,
    sector_size: usize,
    /// The choices of files. Trees that include the same changes of a file's size share them.
    contents: RefCell<HashMap<ContentKey, Rc<ContentChoices>>>,
}

/// A choice of one possible state, whose content is not built yet.
#[derive(Clone, Debug)]
pub struct Choice {
    pub(crate) tree: Rc<Tree>,
    /// The contents of the tree's open files, in order.
    pub(crate) contents: Vec<ContentChoice>,
}

/// A choice of metadata, with the choices of all named files.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The names and modes, and the bytes of the files that have only one choice.
    disk: FileSystem,
    pub(crate) included: Included,
    /// The calls whose writes are missing from the files that have only one choice.
    missing: Vec<usize>,
    /// The files that have several choices.
    pub(crate) open: Vec<(NodeId, Rc<ContentChoices>)>,
}

/// A file, and which of its changes of size are included.
type ContentKey = (NodeId, Vec<bool>);

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
            contents: RefCell::default(),
        })
    }
}

impl States<'_> {
    /// Returns all choices, or `None` if there are more than `limit`. Some lead to equal states.
    #[must_use]
    pub fn all(&self, limit: usize) -> Option<Vec<Choice>> {
        let metadata = self.metadata();
        let mut choices = Vec::new();
        for number in 0..metadata.count(limit)? {
            let tree = self.tree(metadata.nth(number));
            let files = tree.open.iter();
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
                for ((_, file), count) in tree.open.iter().zip(&counts) {
                    contents.push(file.nth(number % count));
                    number /= count;
                }
                let tree = Rc::clone(&tree);
                choices.push(Choice { tree, contents });
            }
        }
        Some(choices)
    }

    /// Returns about how many choices there are, at most [`u64::MAX`]. Assumes that each choice of
    /// metadata has as many choices of bytes as the one without losses.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        let metadata = self.metadata();
        let tree = self.tree(metadata.complete());
        let counts = tree.open.iter().map(|(_, file)| file.count(usize::MAX));
        let counts = [metadata.count(usize::MAX)].into_iter().chain(counts);
        let counts = counts.map(|count| count.map_or(u64::MAX, |count| count as u64));
        counts.fold(1, u64::saturating_mul)
    }

    /// Lists representative choices: first the one without losses, then those that lose or keep
    /// the changes of one call, the last call first. Some lead to equal states.
    #[must_use]
    pub fn representatives(&self) -> Representatives<'_> {
        Representatives::new(self)
    }

    /// Draws a choice. `pick` returns a random number below its argument.
    pub fn draw(&self, pick: &mut dyn FnMut(usize) -> usize) -> Choice {
        let tree = self.tree(self.metadata().draw(pick));
        tree.choice(|file| file.draw(pick))
    }

    pub(crate) fn metadata(&self) -> MetadataChoices<'_> {
        MetadataChoices::new(self.durable, self.power_loss)
    }

    /// Applies the included metadata to the file system before the first call.
    pub(crate) fn tree(&self, included: Included) -> Rc<Tree> {
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
        self.forget_times(&mut disk);
        let (mut open, mut missing) = (Vec::new(), Vec::new());
        for file in disk.named_files() {
            let choices = self.contents(file, &included);
            match choices.only() {
                Some(only) => {
                    disk.set_bytes(file, choices.bytes(&only));
                    missing.extend(choices.missing(&only));
                }
                None => open.push((file, choices)),
            }
        }
        Rc::new(Tree {
            disk,
            included,
            missing,
            open,
        })
    }

    fn contents(&self, file: NodeId, included: &Included) -> Rc<ContentChoices> {
        let since = self.durable.since(file);
        let key = (file, included.sizes(self.durable, file, since));
        let mut known = self.contents.borrow_mut();
        let choices = known.entry(key).or_insert_with(|| {
            Rc::new(ContentChoices::new(
                self.journal,
                self.durable,
                file,
                included,
                self.power_loss,
                self.sector_size,
            ))
        });
        Rc::clone(choices)
    }

    /// Forgets the set times of files that were written later. The disk can have the time of such a
    /// write, with or without its bytes.
    fn forget_times(&self, disk: &mut FileSystem) {
        let mut set = BTreeMap::new();
        for logged in self.journal.until(self.calls) {
            match &logged.event {
                Event::Metadata(parts) => {
                    for part in parts {
                        match part {
                            Part::Times { node, .. } => drop(set.insert(*node, true)),
                            Part::Size { file, .. } => drop(set.insert(*file, false)),
                            _ => {}
                        }
                    }
                }
                Event::Write { file, .. } => drop(set.insert(*file, false)),
                _ => {}
            }
        }
        for (file, _) in set.into_iter().filter(|(_, is_set)| !is_set) {
            disk.set_modified(file, None);
        }
    }

    /// Builds the state of a choice, which one of the methods above has returned.
    #[must_use]
    pub fn state(&self, choice: &Choice) -> State {
        let Choice { tree, contents } = choice;
        let open = || tree.open.iter().zip(contents);
        let mut chosen: HashMap<NodeId, SparseBytes> = open()
            .map(|((file, choices), choice)| (*file, choices.bytes(choice)))
            .collect();
        let snapshot = tree.disk.to_snapshot(|node, file| {
            let chosen = chosen.remove(&node);
            chosen.unwrap_or_else(|| file.bytes.clone())
        });
        let units = self.durable.units.iter().enumerate();
        let lost = units.filter(|(number, _)| !tree.included.has_unit(*number));
        let mut missing: Vec<usize> = lost.map(|(_, unit)| unit.call).collect();
        missing.extend(&tree.missing);
        for ((_, choices), choice) in open() {
            missing.extend(choices.missing(choice));
        }
        missing.sort_unstable();
        missing.dedup();
        State { snapshot, missing }
    }
}

impl Tree {
    /// Makes the choice that has these contents of the open files.
    fn choice(self: Rc<Self>, mut content: impl FnMut(&ContentChoices) -> ContentChoice) -> Choice {
        let contents = self.open.iter().map(|(_, file)| content(file)).collect();
        Choice {
            tree: self,
            contents,
        }
    }
}

/// Representative choices. Each is made only when it is needed.
#[derive(Debug)]
pub struct Representatives<'a> {
    states: &'a States<'a>,
    complete: Rc<Tree>,
    known: Vec<Representative>,
}

#[derive(Clone, Copy, Debug)]
enum Representative {
    Complete(Contents),
    /// All metadata, with this content of the open file with this number.
    File(usize, Content),
    /// This metadata, with these contents of all files.
    Metadata(Kept, Contents),
}

/// The contents of all files of a representative choice.
#[derive(Clone, Copy, Debug)]
enum Contents {
    Whole,
    /// No unsynced bytes, and no unsynced growth.
    Short,
    /// No unsynced bytes, but all growth.
    Grown,
}

const CONTENTS: [Contents; 3] = [Contents::Whole, Contents::Short, Contents::Grown];

impl<'a> Representatives<'a> {
    fn new(states: &'a States<'a>) -> Self {
        let metadata = states.metadata();
        let complete = states.tree(metadata.complete());
        let mut known: Vec<(usize, Representative)> = CONTENTS
            .map(|contents| (usize::MAX, Representative::Complete(contents)))
            .to_vec();
        for (index, (_, file)) in complete.open.iter().enumerate() {
            let contents = representatives::of(file).into_iter();
            known.extend(
                contents.map(|(call, content)| (call, Representative::File(index, content))),
            );
        }
        for (call, kept) in metadata.representatives() {
            let of = |contents| (call, Representative::Metadata(kept, contents));
            known.extend(CONTENTS.map(of));
        }
        // States that differ in an earlier change resemble states of an earlier moment.
        known.sort_by_key(|(call, _)| Reverse(*call));
        Self {
            states,
            complete,
            known: known.into_iter().map(|(_, known)| known).collect(),
        }
    }

    /// Returns the number of choices, which is at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns the choice with this number.
    ///
    /// # Panics
    ///
    /// When `number` is not below [`len`](Self::len).
    #[must_use]
    pub fn get(&self, number: usize) -> Choice {
        match self.known[number] {
            Representative::Complete(contents) => contents.of(Rc::clone(&self.complete)),
            Representative::File(index, content) => {
                let mut choice = Contents::Whole.of(Rc::clone(&self.complete));
                let (_, file) = &self.complete.open[index];
                choice.contents[index] = representatives::choice(file, content);
                choice
            }
            Representative::Metadata(kept, contents) => {
                contents.of(self.states.tree(self.states.metadata().with_kept(kept)))
            }
        }
    }

    /// Returns all choices in order.
    pub fn iter(&self) -> impl Iterator<Item = Choice> {
        (0..self.len()).map(|number| self.get(number))
    }
}

impl Contents {
    fn of(self, tree: Rc<Tree>) -> Choice {
        tree.choice(|file| match self {
            Self::Whole => file.latest(),
            Self::Short => file.earliest(file.lengths[0]),
            Self::Grown => file.earliest(file.grown()),
        })
    }
}
