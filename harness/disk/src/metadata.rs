//! The choices of metadata changes that a disk can have after a loss of power.

use crate::durable::{Durable, PartId};
use crate::file_system::NodeId;
use crate::journal::Part;
use crate::power_loss::PowerLoss;
use crate::renames::is_within_one_directory;
use std::collections::HashSet;

/// The metadata changes that one state of the disk has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Included(Vec<Vec<bool>>);

impl Included {
    pub(crate) fn has(&self, (unit, part): PartId) -> bool {
        self.0[unit][part]
    }

    /// Whether the state has all parts of this change.
    pub(crate) fn has_unit(&self, unit: usize) -> bool {
        self.0[unit].iter().all(|included| *included)
    }

    /// Tells, for each change of a file's size since this index of the log, whether the state has
    /// it.
    pub(crate) fn sizes(&self, durable: &Durable<'_>, file: NodeId, since: usize) -> Vec<bool> {
        let sizes = durable.changes_since(file, since).filter_map(|index| {
            let number = durable.unit_at(index);
            let unit = durable.units.get(number)?;
            let is_size = |part: &Part| part.size_of(file).is_some();
            let part = unit.parts.iter().position(is_size)?;
            (unit.index == index).then(|| self.has((number, part)))
        });
        sizes.collect()
    }
}

/// The open changes that a representative choice of metadata keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kept {
    /// The changes before the one with this number.
    Before(usize),
    AllBut(usize),
    Only(usize),
    Nothing,
}

/// All choices that a model allows.
#[derive(Debug)]
pub(crate) struct MetadataChoices<'a> {
    durable: &'a Durable<'a>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The durable parts, and all changes before one with a number in this range.
    Prefixes(Vec<usize>),
    /// The durable parts, and any of these sets of parts.
    Subsets(Vec<Vec<PartId>>),
}

impl<'a> MetadataChoices<'a> {
    pub(crate) fn new(durable: &'a Durable<'a>, model: PowerLoss) -> Self {
        let is_lost = |id: &PartId| !durable.parts.contains(id);
        let kind = match model {
            PowerLoss::Posix => {
                let changes = (0..durable.units.len()).flat_map(|unit| atoms(durable, unit));
                let open = changes.map(|parts| parts.into_iter().filter(is_lost).collect());
                Kind::Subsets(
                    open.filter(|parts: &Vec<PartId>| !parts.is_empty())
                        .collect(),
                )
            }
            PowerLoss::Journaled | PowerLoss::Ext4Ordered => {
                let first = match model {
                    PowerLoss::Ext4Ordered => durable.committed,
                    _ => 0,
                };
                let units = durable.units.len();
                let is_open = |unit: &usize| {
                    (0..durable.units[*unit].parts.len()).any(|part| is_lost(&(*unit, part)))
                };
                // A prefix that ends before a durable change equals the next longer prefix.
                let ends = (first..units).filter(is_open);
                Kind::Prefixes(ends.chain([units]).collect())
            }
        };
        Self { durable, kind }
    }

    /// Returns the number of choices, or `None` if there are more than `limit`.
    pub(crate) fn count(&self, limit: usize) -> Option<usize> {
        let count = match &self.kind {
            Kind::Prefixes(ends) => ends.len(),
            Kind::Subsets(changes) => {
                let shift = u32::try_from(changes.len()).ok()?;
                1_usize.checked_shl(shift)?
            }
        };
        (count <= limit).then_some(count)
    }

    /// Returns the choice with this number, below [`count`](Self::count).
    pub(crate) fn nth(&self, number: usize) -> Included {
        match &self.kind {
            Kind::Prefixes(ends) => self.prefix(ends[number]),
            Kind::Subsets(changes) => {
                self.subset((0..changes.len()).map(|change| number >> change & 1 == 1))
            }
        }
    }

    /// Returns the choice that loses nothing.
    pub(crate) fn complete(&self) -> Included {
        match &self.kind {
            Kind::Prefixes(_) => self.prefix(self.durable.units.len()),
            Kind::Subsets(changes) => self.subset(changes.iter().map(|_| true)),
        }
    }

    /// Lists representative choices other than the complete one, each with the call that it is
    /// about.
    pub(crate) fn representatives(&self) -> Vec<(usize, Kept)> {
        let call = |unit: usize| self.durable.units[unit].call;
        match &self.kind {
            Kind::Prefixes(ends) => {
                let ends = ends.iter().filter(|end| **end < self.durable.units.len());
                ends.map(|end| (call(*end), Kept::Before(*end))).collect()
            }
            Kind::Subsets(changes) => {
                let changes = changes.iter().enumerate();
                let about = changes.flat_map(|(number, parts)| {
                    let call = parts.first().map_or(0, |(unit, _)| call(*unit));
                    [(call, Kept::AllBut(number)), (call, Kept::Only(number))]
                });
                about.chain([(0, Kept::Nothing)]).collect()
            }
        }
    }

    /// Returns a choice that [`representatives`](Self::representatives) has listed.
    pub(crate) fn with_kept(&self, kept: Kept) -> Included {
        let Kind::Subsets(changes) = &self.kind else {
            return match kept {
                Kept::Before(end) => self.prefix(end),
                _ => self.complete(),
            };
        };
        let is_kept = |change: usize| match kept {
            Kept::AllBut(lost) => change != lost,
            Kept::Only(only) => change == only,
            Kept::Before(_) | Kept::Nothing => false,
        };
        self.subset((0..changes.len()).map(is_kept))
    }

    /// Returns choices that lose less than `included`. Undoes all losses, half of them, or single
    /// ones.
    pub(crate) fn fewer_losses(&self, included: &Included) -> Vec<Included> {
        match &self.kind {
            Kind::Prefixes(ends) => {
                let longer = ends.iter().rev().map(|end| self.prefix(*end));
                longer.take_while(|prefix| prefix != included).collect()
            }
            Kind::Subsets(changes) => {
                let is_kept = |parts: &Vec<PartId>| parts.iter().all(|part| included.has(*part));
                let kept: Vec<bool> = changes.iter().map(is_kept).collect();
                let lost: Vec<usize> = (0..kept.len()).filter(|change| !kept[*change]).collect();
                let (first, second) = lost.split_at(lost.len() / 2);
                let singles = lost.iter().map(std::slice::from_ref);
                let undone = [&lost[..], first, second].into_iter().chain(singles);
                let with = |undone: &[usize]| {
                    let flags = kept.iter().enumerate();
                    self.subset(flags.map(|(change, kept)| *kept || undone.contains(&change)))
                };
                undone.filter(|part| !part.is_empty()).map(with).collect()
            }
        }
    }

    /// Draws a choice. `pick` returns a random number below its argument.
    pub(crate) fn draw(&self, pick: &mut dyn FnMut(usize) -> usize) -> Included {
        match &self.kind {
            Kind::Prefixes(ends) => self.prefix(ends[pick(ends.len())]),
            Kind::Subsets(changes) => self.subset(changes.iter().map(|_| pick(2) == 1)),
        }
    }

    fn prefix(&self, end: usize) -> Included {
        self.with(|(unit, _)| unit < end)
    }

    fn subset(&self, kept: impl Iterator<Item = bool>) -> Included {
        let Kind::Subsets(changes) = &self.kind else {
            return self.with(|_| false);
        };
        let kept = changes.iter().zip(kept).filter(|(_, kept)| *kept);
        let parts: HashSet<&PartId> = kept.flat_map(|(parts, _)| parts).collect();
        self.with(|id| parts.contains(&id))
    }

    /// Returns the durable parts and those that match.
    fn with(&self, matches: impl Fn(PartId) -> bool) -> Included {
        let included = |unit: usize| {
            let parts = 0..self.durable.units[unit].parts.len();
            let ids = parts.map(|part| (unit, part));
            ids.map(|id| self.durable.parts.contains(&id) || matches(id))
                .collect()
        };
        Included((0..self.durable.units.len()).map(included).collect())
    }
}

/// Splits a change into the sets of parts that POSIX keeps together.
fn atoms(durable: &Durable<'_>, unit: usize) -> Vec<Vec<PartId>> {
    let parts = durable.units[unit].parts;
    let ids = (0..parts.len()).map(|part| (unit, part));
    if is_within_one_directory(parts) {
        vec![ids.collect()]
    } else {
        ids.map(|id| vec![id]).collect()
    }
}
