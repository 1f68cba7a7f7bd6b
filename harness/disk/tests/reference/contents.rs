//! The lengths and bytes that one file can have, for one choice of metadata.

use super::{BLOCK, Disk, Event, Model, Node, Parts};
use std::collections::BTreeSet;
use std::ops::Range;

impl Disk {
    /// Returns all contents that a file can have with the chosen metadata.
    pub(super) fn contents(
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
        for (number, event) in node.events.iter().enumerate() {
            let live_after = event.after().len();
            match event {
                Event::Size {
                    unit,
                    length,
                    before,
                    after,
                } if chosen.contains(&(*unit, 0)) => {
                    base = *length;
                    ends.clear();
                    growths.clear();
                    let block_end = length.next_multiple_of(BLOCK);
                    if length < before && self.grows_first(node, number, *length, chosen) {
                        visible.push(Change::CutWithoutZeros(*length..block_end));
                        visible.push(Change::Bytes {
                            range: *length..block_end.min(*before),
                            after,
                        });
                    } else {
                        visible.push(Change::Cut(*length));
                    }
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
        let mut first = vec![node.durable.clone()];
        if self.longest_set(node, chosen) > node.durable.len() {
            first.push([&node.durable[..], &node.behind].concat());
        }
        let mut all = BTreeSet::new();
        for length in lengths {
            let mut contents = BTreeSet::from([Vec::new()]);
            for start in (0..length).step_by(sector) {
                let sectors = sector_choices(&first, &visible, start, sector);
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

    /// Tells whether the file can grow before the zeros of a truncation, the event of this number,
    /// are on the disk. A write to the block of the zeros brings them, but a greater length and
    /// other blocks do not. ext4 writes the zeros before it commits the truncation.
    fn grows_first(&self, node: &Node, number: usize, length: usize, chosen: &Parts) -> bool {
        if self.model == Model::Ext4Ordered {
            return false;
        }
        for event in &node.events[number + 1..] {
            match event {
                Event::Size {
                    unit,
                    length: other,
                    ..
                } => {
                    let is_chosen = chosen.contains(&(*unit, 0));
                    if is_chosen && *other > length {
                        return true;
                    }
                    if !is_chosen && self.model == Model::Journaled {
                        return false;
                    }
                }
                Event::Write { end, .. } if *end > length.next_multiple_of(BLOCK) => return true,
                Event::Write { .. } | Event::Store { .. } | Event::Sync { .. } => {}
            }
        }
        false
    }

    /// Returns the greatest length that a chosen truncation sets. ext4 sets none before the zeros.
    fn longest_set(&self, node: &Node, chosen: &Parts) -> usize {
        let mut longest = 0;
        for event in &node.events {
            if let Event::Size { unit, length, .. } = event {
                if chosen.contains(&(*unit, 0)) && self.model != Model::Ext4Ordered {
                    longest = longest.max(*length);
                } else if self.model == Model::Journaled {
                    break;
                }
            }
        }
        longest
    }
}

impl Node {
    /// Returns the bytes that Btrfs has behind the end, after a sync of the file. It does not write
    /// the zeros of a truncation, unless another change makes the block dirty.
    pub(super) fn bytes_behind_end(&self) -> Vec<u8> {
        let (mut before, mut behind) = (self.durable.clone(), self.behind.clone());
        let mut is_dirty = false;
        for event in &self.events {
            let last_block = before.len() / BLOCK * BLOCK;
            match event {
                Event::Write { end, .. } | Event::Store { end, .. } => {
                    is_dirty |= *end > last_block;
                }
                Event::Size { length, .. } if *length > before.len() => is_dirty = true,
                Event::Size { length, .. } if *length < before.len() => {
                    let mut old = before.clone();
                    if !is_dirty {
                        old.extend(&behind);
                    }
                    old.resize(old.len().max(length.next_multiple_of(BLOCK)), 0);
                    behind = old[*length..length.next_multiple_of(BLOCK)].to_vec();
                    is_dirty = false;
                }
                Event::Size { .. } => {}
                Event::Sync { start, .. } => {
                    if is_dirty && *start == last_block {
                        (behind, is_dirty) = (Vec::new(), false);
                    }
                }
            }
            before = event.after().to_vec();
        }
        if is_dirty { Vec::new() } else { behind }
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
    /// A chosen truncation to the start of this range, whose bytes can be old or zero.
    CutWithoutZeros(Range<usize>),
}

/// Returns the bytes that one sector can have: at the last sync, or after a change that touched it.
fn sector_choices(
    first: &[Vec<u8>],
    visible: &[Change<'_>],
    start: usize,
    sector: usize,
) -> BTreeSet<Vec<u8>> {
    let zeros_from = |mut bytes: Vec<u8>, length: usize| {
        bytes[length.saturating_sub(start).min(sector)..].fill(0);
        bytes
    };
    let cut = |image: &[u8], later: &[Change<'_>]| {
        let tail = image.get(start..).unwrap_or_default();
        let mut bytes = tail[..tail.len().min(sector)].to_vec();
        bytes.resize(sector, 0);
        let mut all = BTreeSet::from([bytes]);
        for change in later {
            let lengths = match change {
                Change::Cut(length) => vec![*length],
                Change::CutWithoutZeros(range) => vec![range.start, range.end],
                Change::Bytes { .. } | Change::Synced { .. } => continue,
            };
            all = all
                .iter()
                .flat_map(|bytes| lengths.iter().map(|n| zeros_from(bytes.clone(), *n)))
                .collect();
        }
        all
    };
    let of_first = first.iter().flat_map(|bytes| cut(bytes, visible));
    let mut choices: BTreeSet<Vec<u8>> = of_first.collect();
    for (number, change) in visible.iter().enumerate() {
        if let Change::Bytes { range, after } = change
            && (range.start < range.end && range.start < start + sector && range.end > start)
        {
            choices.extend(cut(after, &visible[number + 1..]));
        }
        if let Change::Synced { range, after } = change
            && range.contains(&start)
        {
            choices = cut(after, &visible[number + 1..]);
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
