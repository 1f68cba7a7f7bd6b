//! The choices of a file's length and bytes after a loss of power.

use crate::durable::Durable;
use crate::durable_bytes::{DurableBytes, PAGE};
use crate::file_events::{self, FileEvent};
use crate::file_system::NodeId;
use crate::journal::Journal;
use crate::lengths;
use crate::metadata::Included;
use crate::power_loss::PowerLoss;
use crate::sector::Sector;
use crate::sparse_bytes::SparseBytes;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

/// All lengths and bytes that a file can have, for one choice of metadata.
#[derive(Debug)]
pub(crate) struct ContentChoices {
    /// The possible lengths in bytes, ascending. The first has no unsynced growth.
    pub(crate) lengths: Vec<usize>,
    /// The sectors that differ, or can differ, from the durable bytes, ascending.
    pub(crate) sectors: Vec<Sector>,
    /// The unsynced writes.
    pub(crate) writes: Vec<Write>,
    /// The durable bytes.
    durable: SparseBytes,
    /// The number of durable bytes that no truncation of the state has removed.
    kept: usize,
    sector_size: usize,
    /// The bytes of the first choices that were built: most states share them.
    built: RefCell<Vec<(ContentChoice, SparseBytes)>>,
}

/// The maximum number of choices whose bytes are kept.
const MAX_BUILT: usize = 4;

/// An unsynced write.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) call: usize,
    pub(crate) range: Range<usize>,
    /// Whether the write's growth cannot be on the disk, since an earlier truncation is not.
    pub(crate) is_hidden: bool,
    /// Whether the bytes are the zeros of a truncation, which never make a file longer.
    is_truncation: bool,
    /// The end of the bytes that can be on the disk.
    end: usize,
}

impl Write {
    /// Returns the length to which the write makes a file longer, at most `grown`.
    pub(crate) fn reached(&self, grown: usize) -> usize {
        if self.is_truncation {
            0
        } else {
            self.range.end.min(grown)
        }
    }
}

/// A choice of a file's length, and of a version for each sector, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContentChoice {
    pub(crate) length: usize,
    pub(crate) versions: Vec<usize>,
}

impl ContentChoices {
    pub(crate) fn new(
        journal: &Journal,
        durable: &Durable<'_>,
        file: NodeId,
        included: &Included,
        model: PowerLoss,
        sector_size: usize,
    ) -> Self {
        let at_sync = durable.bytes(journal, file);
        let mut events = file_events::since(journal, durable, file, at_sync.since, included);
        let (grows_first, longest) = file_events::grow_before_zeros(&events, model);
        let at_sync = if longest > at_sync.bytes.len() {
            at_sync.with_bytes_behind_end()
        } else {
            at_sync
        };
        let mut choices = Self {
            lengths: Vec::new(),
            sectors: Vec::new(),
            writes: Vec::new(),
            kept: at_sync.bytes.len(),
            durable: at_sync.bytes.clone(),
            sector_size,
            built: RefCell::default(),
        };
        let mut base = at_sync.bytes.len();
        let mut ends: Vec<usize> = Vec::new();
        let mut growths: Vec<Range<usize>> = Vec::new();
        // Before a truncation reaches a journaled disk, only the pages that it keeps can change.
        let mut kept_pages = usize::MAX;
        let mut live_length = base;
        for (event, grows_first) in events.iter_mut().zip(grows_first) {
            match event {
                FileEvent::Write {
                    call,
                    offset,
                    bytes,
                    is_store,
                } => {
                    let range = *offset..*offset + bytes.len();
                    let is_hidden = kept_pages < usize::MAX;
                    // A store through a mapping never makes a file longer.
                    if !is_hidden && !*is_store {
                        ends.push(range.end);
                        if range.end > live_length {
                            growths.push(live_length.max(range.start)..range.end);
                        }
                    }
                    live_length = live_length.max(range.end);
                    choices.writes.push(Write {
                        call: *call,
                        end: range.end.min(kept_pages),
                        range,
                        is_hidden,
                        is_truncation: false,
                    });
                }
                FileEvent::Size {
                    call,
                    length,
                    is_included,
                    zeros,
                    cut,
                } => {
                    let end = length.next_multiple_of(PAGE);
                    let zeroed = *length..live_length.min(end).min(kept_pages);
                    if !*is_included {
                        *zeros = zeroed;
                        if model != PowerLoss::Posix {
                            kept_pages = kept_pages.min(end);
                        }
                    } else if kept_pages == usize::MAX {
                        *cut = *length;
                        if grows_first && !zeroed.is_empty() {
                            (*zeros, *cut) = (zeroed.clone(), end);
                            choices.writes.push(Write {
                                call: *call,
                                end: zeroed.end,
                                range: zeroed,
                                is_hidden: false,
                                is_truncation: true,
                            });
                        }
                        base = *length;
                        ends.clear();
                        growths.clear();
                        choices.kept = choices.kept.min(base);
                    }
                    live_length = *length;
                }
                FileEvent::Sync(pages) => {
                    for page in *pages {
                        base = lengths::after_sync(*page, base, &ends, &growths, live_length);
                    }
                    ends.retain(|end| *end > base);
                }
            }
        }
        choices.lengths = lengths::possible(base, ends);
        choices.add_sectors(&events, &at_sync);
        choices
    }

    fn add_sectors(&mut self, events: &[FileEvent<'_>], at_sync: &DurableBytes) {
        let size = self.sector_size;
        let sectors = |range: Range<usize>| range.start / size..range.end.div_ceil(size);
        // The writes to each sector and its syncs, as indices in `events`, each with the number of
        // writes until then.
        let mut touched: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        // The changes of size, which concern all sectors.
        let mut sizes: Vec<(usize, usize)> = Vec::new();
        let mut writes = 0;
        for (index, event) in events.iter().enumerate() {
            match event {
                FileEvent::Write { .. } => {
                    let write = &self.writes[writes];
                    writes += 1;
                    for sector in sectors(write.range.start..write.end) {
                        touched.entry(sector).or_default().push((index, writes));
                    }
                }
                FileEvent::Size {
                    is_included, zeros, ..
                } => {
                    writes += usize::from(*is_included && !zeros.is_empty());
                    sizes.push((index, writes));
                    if !zeros.is_empty() {
                        for sector in sectors(zeros.clone()) {
                            touched.entry(sector).or_default();
                        }
                    }
                }
                FileEvent::Sync(pages) => {
                    let ranges = pages.iter().map(|page| page * PAGE..(page + 1) * PAGE);
                    for sector in ranges.flat_map(sectors) {
                        touched.entry(sector).or_default().push((index, writes));
                    }
                }
            }
        }
        for page in at_sync.lost.keys() {
            for sector in sectors(page * PAGE..(page + 1) * PAGE) {
                touched.entry(sector).or_default();
            }
        }
        for (number, mut relevant) in touched {
            let start = number * size;
            relevant.extend(&sizes);
            relevant.sort_unstable();
            let relevant = relevant
                .into_iter()
                .map(|(event, writes)| (&events[event], writes));
            let sector = Sector::replay(number, start..start + size, relevant, at_sync);
            self.sectors.push(sector);
        }
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

    /// Returns the sectors that a write touches, as indices in `sectors`.
    pub(crate) fn touched(&self, write: &Write) -> Range<usize> {
        let size = self.sector_size;
        let is_before = |sector: &Sector| (sector.number + 1) * size <= write.range.start;
        let is_reached = |sector: &Sector| sector.number * size < write.range.end;
        self.sectors.partition_point(is_before)..self.sectors.partition_point(is_reached)
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

    /// Returns the only choice, or `None` if there are several.
    pub(crate) fn only(&self) -> Option<ContentChoice> {
        let is_fixed = |sector: &Sector| sector.versions.len() == 1;
        match self.lengths.as_slice() {
            [length] if self.sectors.iter().all(is_fixed) => Some(self.earliest(*length)),
            _ => None,
        }
    }

    /// Returns the bytes of the file.
    pub(crate) fn bytes(&self, choice: &ContentChoice) -> SparseBytes {
        let mut built = self.built.borrow_mut();
        if let Some((_, bytes)) = built.iter().find(|(other, _)| other == choice) {
            return bytes.clone();
        }
        let bytes = self.build(choice);
        if built.len() < MAX_BUILT {
            built.push((choice.clone(), bytes.clone()));
        }
        bytes
    }

    fn build(&self, choice: &ContentChoice) -> SparseBytes {
        let mut bytes = self.durable.clone();
        bytes.resize(self.kept.min(choice.length));
        bytes.resize(choice.length);
        for (sector, version) in self.sectors.iter().zip(&choice.versions) {
            let start = sector.number * self.sector_size;
            let length = choice.length.saturating_sub(start).min(self.sector_size);
            bytes.write(start, &sector.versions[*version].bytes[..length]);
        }
        bytes
    }

    /// Lists the calls whose writes are not completely on the disk.
    pub(crate) fn missing(&self, choice: &ContentChoice) -> Vec<usize> {
        let missing = self.missing_writes(choice).into_iter();
        missing.map(|write| self.writes[write].call).collect()
    }

    /// Lists the writes that are not completely on the disk, as indices in `writes`.
    pub(crate) fn missing_writes(&self, choice: &ContentChoice) -> Vec<usize> {
        let is_missing = |(number, write): &(usize, &Write)| {
            let is_lost = |sector: usize| {
                self.sectors[sector].versions[choice.versions[sector]].writes <= *number
            };
            let is_cut = choice.length < write.reached(self.grown());
            // Without a growth, no state shows the zeros of a truncation.
            let is_visible = !write.is_truncation || write.range.start < choice.length;
            write.is_hidden || is_cut || is_visible && self.touched(write).any(is_lost)
        };
        let missing = self.writes.iter().enumerate().filter(is_missing);
        missing.map(|(number, _)| number).collect()
    }
}
