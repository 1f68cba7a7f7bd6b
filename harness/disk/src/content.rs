//! The choices of a file's length and bytes after a loss of power.

use crate::durable::Durable;
use crate::durable_bytes::{DurableBytes, PAGE};
use crate::file_system::NodeId;
use crate::journal::{Event, Journal, Part};
use crate::lengths;
use crate::metadata::Included;
use crate::power_loss::PowerLoss;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// All lengths and bytes that a file can have, for one choice of metadata.
#[derive(Debug)]
pub(crate) struct ContentChoices {
    /// The possible lengths in bytes, ascending. The first has no unsynced growth.
    pub(crate) lengths: Vec<usize>,
    /// The sectors that unsynced writes touch, ascending.
    pub(crate) sectors: Vec<Sector>,
    /// The unsynced writes.
    pub(crate) writes: Vec<Write>,
    /// The durable bytes.
    durable: Arc<Vec<u8>>,
    /// The number of durable bytes that no truncation of the state has removed.
    kept: usize,
    sector_size: usize,
}

/// A sector, and its possible bytes.
#[derive(Debug)]
pub(crate) struct Sector {
    /// The number of the sector in the file.
    pub(crate) number: usize,
    /// The possible bytes: at first the durable ones, then those after each write.
    pub(crate) versions: Vec<Version>,
}

impl Sector {
    /// Returns the index of the version after the last of these writes, of which all are below
    /// `writes`.
    pub(crate) fn before(&self, writes: usize) -> usize {
        let versions = self.versions.iter().enumerate();
        let earlier = versions.filter(|(index, version)| *index == 0 || version.writes < writes);
        earlier
            .max_by_key(|(_, version)| version.writes)
            .map_or(0, |(index, _)| index)
    }

    fn latest(&self) -> usize {
        self.before(usize::MAX)
    }
}

/// The bytes of a sector at one moment.
#[derive(Debug)]
pub(crate) struct Version {
    /// The number of writes that are in the bytes, as an index in the file's unsynced writes.
    pub(crate) writes: usize,
    bytes: Vec<u8>,
}

/// An unsynced write.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) call: usize,
    pub(crate) range: Range<usize>,
    /// Whether the write cannot be on the disk, since an earlier truncation is not.
    pub(crate) is_hidden: bool,
}

/// A choice of a file's length, and of a version for each sector, by index.
#[derive(Clone, Debug)]
pub(crate) struct ContentChoice {
    pub(crate) length: usize,
    pub(crate) versions: Vec<usize>,
}

/// An unsynced event of a file.
enum FileEvent<'a> {
    Write {
        call: usize,
        offset: usize,
        bytes: &'a [u8],
        is_store: bool,
    },
    Size {
        length: usize,
        is_included: bool,
    },
}

impl ContentChoices {
    pub(crate) fn new(
        journal: &Journal,
        durable: &Durable<'_>,
        calls: usize,
        file: NodeId,
        included: &Included,
        model: PowerLoss,
        sector_size: usize,
    ) -> Self {
        let at_sync = durable.bytes(journal, file);
        let events = events_since(journal, durable, calls, file, at_sync.since, included);
        let mut choices = Self {
            lengths: Vec::new(),
            sectors: Vec::new(),
            writes: Vec::new(),
            kept: at_sync.bytes.len(),
            durable: Arc::clone(&at_sync.bytes),
            sector_size,
        };
        let mut base = at_sync.bytes.len();
        let mut ends: Vec<usize> = Vec::new();
        let mut is_hidden = false;
        for event in &events {
            match event {
                FileEvent::Write {
                    call,
                    offset,
                    bytes,
                    is_store,
                } => {
                    let range = *offset..offset + bytes.len();
                    // A store through a mapping never makes a file longer.
                    if !is_hidden && !is_store {
                        ends.push(range.end);
                    }
                    choices.writes.push(Write {
                        call: *call,
                        range,
                        is_hidden,
                    });
                }
                FileEvent::Size {
                    length,
                    is_included: true,
                } if !is_hidden => {
                    base = *length;
                    ends.clear();
                    choices.kept = choices.kept.min(base);
                }
                // Nothing that follows a truncation reaches a journaled disk before the truncation.
                FileEvent::Size { .. } => is_hidden |= model != PowerLoss::Posix,
            }
        }
        choices.lengths = lengths::possible(base, ends);
        choices.add_sectors(&events, &at_sync);
        choices
    }

    fn add_sectors(&mut self, events: &[FileEvent<'_>], at_sync: &DurableBytes) {
        let visible = self.writes.iter().filter(|write| !write.is_hidden);
        let size = self.sector_size;
        let sectors = |range: Range<usize>| range.start / size..range.end.div_ceil(size);
        let mut touched: BTreeSet<usize> = visible
            .flat_map(|write| sectors(write.range.clone()))
            .collect();
        for page in at_sync.lost.keys() {
            touched.extend(sectors(page * PAGE..(page + 1) * PAGE));
        }
        for number in touched {
            let start = number * self.sector_size;
            let versions = self.versions(start..start + self.sector_size, events, at_sync);
            self.sectors.push(Sector { number, versions });
        }
    }

    /// Replays the events on one sector.
    fn versions(
        &self,
        range: Range<usize>,
        events: &[FileEvent<'_>],
        at_sync: &DurableBytes,
    ) -> Vec<Version> {
        let mut versions: Vec<Version> = at_sync
            .contents_at_sync(&range)
            .into_iter()
            .map(|bytes| Version { writes: 0, bytes })
            .collect();
        let mut live = versions
            .last()
            .map_or_else(Vec::new, |last| last.bytes.clone());
        let mut writes = 0;
        for event in events {
            match event {
                FileEvent::Write { offset, bytes, .. } => {
                    writes += 1;
                    let (from, to) = (
                        range.start.max(*offset),
                        range.end.min(offset + bytes.len()),
                    );
                    if from < to && !self.writes[writes - 1].is_hidden {
                        live[from - range.start..to - range.start]
                            .copy_from_slice(&bytes[from - offset..to - offset]);
                        let bytes = live.clone();
                        versions.push(Version { writes, bytes });
                    }
                }
                FileEvent::Size {
                    length,
                    is_included,
                } => {
                    let cut = length.saturating_sub(range.start).min(live.len());
                    live[cut..].fill(0);
                    if *is_included {
                        versions
                            .iter_mut()
                            .for_each(|version| version.bytes[cut..].fill(0));
                    }
                }
            }
        }
        // Equal bytes count once, as the latest moment.
        let mut distinct: Vec<Version> = Vec::new();
        for version in versions {
            match distinct
                .iter_mut()
                .find(|other| other.bytes == version.bytes)
            {
                Some(other) => other.writes = version.writes,
                None => distinct.push(version),
            }
        }
        distinct
    }

    /// Returns the number of choices, or `None` if there are more than `limit`.
    pub(crate) fn count(&self, limit: usize) -> Option<usize> {
        let mut count = 0_usize;
        for length in &self.lengths {
            let mut of_length = 1_usize;
            for sector in self.sectors_below(*length) {
                of_length = of_length
                    .checked_mul(sector.versions.len())
                    .filter(|count| *count <= limit)?;
            }
            count = count
                .checked_add(of_length)
                .filter(|count| *count <= limit)?;
        }
        Some(count)
    }

    /// Returns the choice with this number, below [`count`](Self::count).
    pub(crate) fn nth(&self, mut number: usize) -> ContentChoice {
        for length in &self.lengths {
            let of_length: usize = self
                .sectors_below(*length)
                .map(|sector| sector.versions.len())
                .product();
            if number >= of_length {
                number -= of_length;
                continue;
            }
            let mut choice = self.earliest(*length);
            for (version, sector) in choice.versions.iter_mut().zip(self.sectors_below(*length)) {
                *version = number % sector.versions.len();
                number /= sector.versions.len();
            }
            return choice;
        }
        self.latest()
    }

    fn sectors_below(&self, length: usize) -> impl Iterator<Item = &Sector> {
        let size = self.sector_size;
        self.sectors
            .iter()
            .take_while(move |sector| sector.number * size < length)
    }

    /// Lists the sectors that a write touches, as indices in `sectors`.
    pub(crate) fn touched(&self, write: &Write) -> Vec<usize> {
        let is_touched = |sector: &Sector| {
            let start = sector.number * self.sector_size;
            write.range.start < start + self.sector_size && start < write.range.end
        };
        (0..self.sectors.len())
            .filter(|index| is_touched(&self.sectors[*index]))
            .collect()
    }

    /// Returns the choice without losses, except for writes that cannot be on the disk.
    pub(crate) fn latest(&self) -> ContentChoice {
        ContentChoice {
            length: self.grown(),
            versions: self.sectors.iter().map(Sector::latest).collect(),
        }
    }

    /// Returns the choice of this length without unsynced bytes.
    pub(crate) fn earliest(&self, length: usize) -> ContentChoice {
        ContentChoice {
            length,
            versions: vec![0; self.sectors.len()],
        }
    }

    /// Returns the greatest possible length, in bytes.
    pub(crate) fn grown(&self) -> usize {
        self.lengths.last().copied().unwrap_or_default()
    }

    /// Draws a choice. `pick` returns a random number below its argument.
    pub(crate) fn draw(&self, pick: &mut dyn FnMut(usize) -> usize) -> ContentChoice {
        ContentChoice {
            length: self.lengths[pick(self.lengths.len())],
            versions: self
                .sectors
                .iter()
                .map(|sector| pick(sector.versions.len()))
                .collect(),
        }
    }

    /// Returns the bytes of the file.
    pub(crate) fn bytes(&self, choice: &ContentChoice) -> Arc<Vec<u8>> {
        if self.sectors.is_empty() && self.kept == choice.length && self.durable.len() == self.kept
        {
            return Arc::clone(&self.durable);
        }
        let mut bytes = self.durable[..self.kept.min(choice.length)].to_vec();
        bytes.resize(choice.length, 0);
        for (sector, version) in self.sectors.iter().zip(&choice.versions) {
            let start = sector.number * self.sector_size;
            if let Some(kept) = bytes.get_mut(start..) {
                let length = kept.len().min(self.sector_size);
                kept[..length].copy_from_slice(&sector.versions[*version].bytes[..length]);
            }
        }
        Arc::new(bytes)
    }

    /// Lists the calls whose writes are not completely on the disk.
    pub(crate) fn missing(&self, choice: &ContentChoice) -> Vec<usize> {
        let is_missing = |(number, write): &(usize, &Write)| {
            let is_lost = |sector: &usize| {
                self.sectors[*sector].versions[choice.versions[*sector]].writes <= *number
            };
            let is_cut = choice.length < write.range.end.min(self.grown());
            write.is_hidden || is_cut || self.touched(write).iter().any(is_lost)
        };
        let missing = self.writes.iter().enumerate().filter(is_missing);
        missing.map(|(_, write)| write.call).collect()
    }
}

/// Lists the events of a file since its last sync.
fn events_since<'a>(
    journal: &'a Journal,
    durable: &Durable<'_>,
    calls: usize,
    file: NodeId,
    since: usize,
    included: &Included,
) -> Vec<FileEvent<'a>> {
    let log = journal.until(calls).iter().enumerate().skip(since);
    let mut events = Vec::new();
    for (index, logged) in log {
        match &logged.event {
            Event::Write {
                file: written,
                offset,
                bytes,
                is_store,
                ..
            } if *written == file => {
                events.push(FileEvent::Write {
                    call: logged.call,
                    offset: *offset,
                    bytes,
                    is_store: *is_store,
                });
            }
            Event::Metadata(parts) => {
                let unit = durable.units.partition_point(|unit| unit.index < index);
                for (number, part) in parts.iter().enumerate() {
                    if let Part::Size {
                        file: resized,
                        length,
                    } = part
                        && *resized == file
                    {
                        let (length, is_included) = (*length, included.has((unit, number)));
                        events.push(FileEvent::Size {
                            length,
                            is_included,
                        });
                    }
                }
            }
            _ => {}
        }
    }
    events
}
