//! The choices of metadata changes that a disk can have after a loss of power.

use crate::durable::Durable;
use crate::names::is_within_one_directory;
use crate::power_loss::PowerLoss;
use crate::unit::PartId;
use std::collections::BTreeSet;

/// The metadata changes that one state of the disk has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Included(Vec<Vec<Extent>>);

/// The extent to which a state has a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
        self.0[unit][part]
    }

    /// Whether the state has all parts of this change.
    pub(crate) fn has_unit(&self, unit: usize) -> bool {
        self.0[unit].iter().all(|extent| *extent == Extent::Whole)
    }

    fn add(&mut self, (unit, part): PartId, extent: Extent) {
        let present = &mut self.0[unit][part];
        *present = extent.max(*present);
    }
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
    Prefixes(Vec<Prefix>),
    /// The durable parts, and any of these sets of parts.
    Subsets(Vec<Vec<(PartId, Extent)>>),
}

/// All changes before the one with this number, and one of the optional changes.
#[derive(Clone, Copy, Debug)]
struct Prefix {
    end: usize,
    optional: Option<usize>,
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
                let ends: Vec<usize> = (first..units).filter(is_open).chain([units]).collect();
                let plain = ends.iter().map(|end| Prefix {
                    end: *end,
                    optional: None,
                });
                let mut prefixes: Vec<Prefix> = plain.collect();
                for (number, optional) in durable.optional.iter().enumerate() {
                    // Optional changes within the prefix add nothing.
                    let adds = |end: &&usize| {
                        let mut parts = optional.parts.iter().chain(&optional.removals);
                        parts.any(|(unit, _)| unit >= *end)
                    };
                    let prefix = |end: &usize| Prefix {
                        end: *end,
                        optional: Some(number),
                    };
                    prefixes.extend(ends.iter().filter(adds).map(prefix));
                }
                Kind::Prefixes(prefixes)
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
            Kind::Prefixes(prefixes) => self.prefix(prefixes[number]),
            Kind::Subsets(changes) => {
                self.subset((0..changes.len()).map(|change| number >> change & 1 == 1))
            }
        }
    }

    /// Returns the choice that loses nothing.
    pub(crate) fn complete(&self) -> Included {
        match &self.kind {
            Kind::Prefixes(_) => self.prefix(Prefix {
                end: self.durable.units.len(),
                optional: None,
            }),
            Kind::Subsets(changes) => self.subset(changes.iter().map(|_| true)),
        }
    }

    /// Returns choices with few losses, then the one that loses all open changes, then choices with
    /// many losses.
    pub(crate) fn representatives(&self) -> Vec<Included> {
        match &self.kind {
            Kind::Prefixes(prefixes) => {
                let plain = prefixes
                    .iter()
                    .filter(|prefix| prefix.optional.is_none())
                    .rev();
                // The shortest prefix with each of the optional changes.
                let optional = prefixes
                    .windows(2)
                    .filter_map(|pair| (pair[0].optional != pair[1].optional).then_some(&pair[1]));
                plain
                    .chain(optional)
                    .map(|prefix| self.prefix(*prefix))
                    .collect()
            }
            Kind::Subsets(changes) => {
                let count = changes.len();
                let all_but =
                    |lost: usize| self.subset((0..count).map(move |change| change != lost));
                let only = |kept: usize| self.subset((0..count).map(move |change| change == kept));
                let losses = (0..count).map(all_but);
                let none = self.subset((0..count).map(|_| false));
                let mut choices = vec![self.complete()];
                choices.extend(losses);
                choices.push(none);
                choices.extend((0..count).map(only));
                choices
            }
        }
    }

    /// Draws a choice. `pick` returns a random number below its argument.
    pub(crate) fn draw(&self, pick: &mut dyn FnMut(usize) -> usize) -> Included {
        match &self.kind {
            Kind::Prefixes(prefixes) => self.prefix(prefixes[pick(prefixes.len())]),
            Kind::Subsets(changes) => self.subset(changes.iter().map(|_| pick(2) == 1)),
        }
    }

    fn prefix(&self, prefix: Prefix) -> Included {
        let mut included = self.with(|(unit, _)| unit < prefix.end);
        if let Some(optional) = prefix.optional.map(|number| &self.durable.optional[number]) {
            for id in &optional.parts {
                included.add(*id, Extent::Whole);
            }
            for id in &optional.removals {
                included.add(*id, Extent::Removal);
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
        let included = |unit: usize| {
            let parts = 0..self.durable.units[unit].parts.len();
            parts.map(|part| extent((unit, part))).collect()
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
