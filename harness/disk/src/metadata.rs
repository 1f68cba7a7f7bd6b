//! The choices of metadata changes that a disk can have after a loss of power.

use crate::durable::Durable;
use crate::file_system::NodeId;
use crate::journal::Part;
use crate::log_tree;
use crate::power_loss::PowerLoss;
use crate::prefixes::{Prefix, Prefixes};
use crate::renames::is_within_one_directory;
use crate::unit::PartId;
use std::collections::BTreeSet;

/// The metadata changes that one state of the disk has.
#[derive(Clone, Debug)]
pub(crate) struct Included {
    extents: Vec<Vec<Extent>>,
    /// The optional changes among them, by number.
    optional: Option<usize>,
}

/// The extent to which a state has a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extent {
    Missing,
    /// The replaced name is removed, and the new one is not set.
    Removal,
    Whole,
}

impl Included {
    pub(crate) fn has(&self, id: PartId) -> bool {
        self.extent(id) == Extent::Whole
    }

    pub(crate) fn extent(&self, (unit, part): PartId) -> Extent {
        self.extents[unit][part]
    }

    /// Whether the state has all parts of this change.
    pub(crate) fn has_unit(&self, unit: usize) -> bool {
        let mut extents = self.extents[unit].iter();
        extents.all(|extent| *extent == Extent::Whole)
    }

    /// Returns the number of changes of which the state lacks a part.
    fn losses(&self) -> usize {
        let units = 0..self.extents.len();
        units.filter(|unit| !self.has_unit(*unit)).count()
    }

    fn add(&mut self, (unit, part): PartId, extent: Extent) {
        let present = &mut self.extents[unit][part];
        *present = extent.max(*present);
    }

    /// Tells, for each change of a file's size since this index of the log, whether the state has
    /// it. No other change of metadata decides on the file's bytes and length.
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
    /// The changes of this prefix.
    Prefix(Prefix),
    /// All but this change. If it is the removal of a name, it stands for the whole change.
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
    /// The durable parts, and one of these prefixes.
    Prefixes(Prefixes),
    /// The durable parts, and any of these sets of parts.
    Subsets(Vec<Vec<(PartId, Extent)>>),
}

impl<'a> MetadataChoices<'a> {
    pub(crate) fn new(durable: &'a Durable<'a>, model: PowerLoss) -> Self {
        let is_lost = |id: &PartId| !durable.parts.contains(id);
        let kind = match model {
            PowerLoss::Posix => {
                let changes = (0..durable.units.len()).flat_map(|unit| atoms(durable, unit));
                let whole = |parts: Vec<PartId>| -> Vec<(PartId, Extent)> {
                    let lost = parts.into_iter().filter(is_lost);
                    lost.map(|id| (id, Extent::Whole)).collect()
                };
                let removals = durable.optional.iter().flat_map(|each| &each.removals);
                let removals: BTreeSet<PartId> = removals.copied().collect();
                let removals = removals.into_iter().map(|id| vec![(id, Extent::Removal)]);
                let changes = changes.map(whole).chain(removals);
                Kind::Subsets(changes.filter(|parts| !parts.is_empty()).collect())
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
                let ends = (first..units).filter(is_open).chain([units]);
                Kind::Prefixes(Prefixes::new(ends.collect(), &durable.optional))
            }
        };
        Self { durable, kind }
    }

    /// Returns the number of choices, or `None` if there are more than `limit`.
    pub(crate) fn count(&self, limit: usize) -> Option<usize> {
        let count = match &self.kind {
            Kind::Prefixes(prefixes) => prefixes.len(),
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
            Kind::Prefixes(prefixes) => self.prefix(prefixes.nth(number)),
            Kind::Subsets(changes) => {
                self.subset((0..changes.len()).map(|change| number >> change & 1 == 1))
            }
        }
    }

    /// Returns the choice that loses nothing.
    pub(crate) fn complete(&self) -> Included {
        match &self.kind {
            Kind::Prefixes(prefixes) => self.prefix(prefixes.complete()),
            Kind::Subsets(changes) => self.subset(changes.iter().map(|_| true)),
        }
    }

    /// Lists representative choices other than the complete one, each with the call that it is
    /// about.
    pub(crate) fn representatives(&self) -> Vec<(usize, Kept)> {
        let call = |unit: usize| self.durable.units[unit].call;
        match &self.kind {
            Kind::Prefixes(prefixes) => {
                let plain = prefixes.plain().rev().skip(1);
                let plain = plain.map(|prefix| (call(prefix.end), Kept::Prefix(prefix)));
                let optional = prefixes.shortest_with_optional().map(|(number, prefix)| {
                    let last = self.durable.optional[number].last;
                    (call(last), Kept::Prefix(prefix))
                });
                plain.chain(optional).collect()
            }
            Kind::Subsets(changes) => {
                let changes = changes.iter().enumerate();
                let about = changes.flat_map(|(number, parts)| {
                    let call = parts.first().map_or(0, |((unit, _), _)| call(*unit));
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
                Kept::Prefix(prefix) => self.prefix(prefix),
                _ => self.complete(),
            };
        };
        let shares = |change: usize, other: usize| {
            let mut ids = changes[change].iter();
            ids.any(|(id, _)| changes[other].iter().any(|(other, _)| id == other))
        };
        let is_removal = |change: usize| changes[change][0].1 == Extent::Removal;
        let is_kept = |change: usize| match kept {
            // The removal of a name shows only without the whole change.
            Kept::AllBut(lost) if is_removal(lost) => change == lost || !shares(change, lost),
            Kept::AllBut(lost) => change != lost && !(is_removal(change) && shares(change, lost)),
            Kept::Only(only) => change == only,
            Kept::Prefix(_) | Kept::Nothing => false,
        };
        self.subset((0..changes.len()).map(is_kept))
    }

    /// Returns choices that lose less than `included`. Undoes all losses, half of them, or single
    /// ones.
    pub(crate) fn fewer_losses(&self, included: &Included) -> Vec<Included> {
        match &self.kind {
            Kind::Prefixes(prefixes) => {
                let losses = included.losses();
                let fewer = |prefixes: &mut dyn Iterator<Item = Prefix>| -> Vec<Included> {
                    let longer = prefixes.map(|prefix| self.prefix(prefix));
                    longer.take_while(|other| other.losses() < losses).collect()
                };
                let mut found = fewer(&mut prefixes.plain().rev());
                if let Some(number) = included.optional {
                    found.extend(fewer(&mut prefixes.with_optional(number).rev()));
                }
                found
            }
            Kind::Subsets(changes) => {
                let is_kept = |parts: &Vec<(PartId, Extent)>| {
                    let mut parts = parts.iter();
                    parts.all(|(id, extent)| included.extent(*id) >= *extent)
                };
                let kept: Vec<bool> = changes.iter().map(is_kept).collect();
                // The removal of a name is a loss itself.
                let is_lost = |change: &usize| {
                    let mut parts = changes[*change].iter();
                    !kept[*change] && parts.all(|(_, extent)| *extent == Extent::Whole)
                };
                let lost: Vec<usize> = (0..kept.len()).filter(is_lost).collect();
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
            Kind::Prefixes(prefixes) => self.prefix(prefixes.nth(pick(prefixes.len()))),
            Kind::Subsets(changes) => self.subset(changes.iter().map(|_| pick(2) == 1)),
        }
    }

    fn prefix(&self, prefix: Prefix) -> Included {
        let mut included = self.with(|(unit, _)| unit < prefix.end);
        included.optional = prefix.optional;
        if let Some(number) = prefix.optional {
            for optional in log_tree::with_earlier(&self.durable.optional, number) {
                for id in &optional.parts {
                    included.add(*id, Extent::Whole);
                }
                for id in &optional.removals {
                    included.add(*id, Extent::Removal);
                }
            }
        }
        included
    }

    fn subset(&self, kept: impl Iterator<Item = bool>) -> Included {
        let mut included = self.with(|_| false);
        if let Kind::Subsets(changes) = &self.kind {
            let kept = changes.iter().zip(kept).filter(|(_, kept)| *kept);
            for (id, extent) in kept.flat_map(|(parts, _)| parts) {
                included.add(*id, *extent);
            }
        }
        included
    }

    /// Returns the durable parts and those that match.
    fn with(&self, matches: impl Fn(PartId) -> bool) -> Included {
        let extent = |id: PartId| {
            let is_included = self.durable.parts.contains(&id) || matches(id);
            if is_included {
                Extent::Whole
            } else {
                Extent::Missing
            }
        };
        let extents = |unit: usize| {
            let parts = 0..self.durable.units[unit].parts.len();
            parts.map(|part| extent((unit, part))).collect()
        };
        Included {
            extents: (0..self.durable.units.len()).map(extents).collect(),
            optional: None,
        }
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
