//! The changes of one file's bytes and length since its last sync.

use crate::durable::Durable;
use crate::durable_bytes::PAGE;
use crate::file_system::NodeId;
use crate::journal::{Event, Journal};
use crate::metadata::Included;
use crate::power_loss::PowerLoss;
use std::collections::BTreeSet;
use std::ops::Range;

/// An unsynced event of a file.
#[derive(Debug)]
pub(crate) enum FileEvent<'a> {
    Write {
        call: usize,
        offset: usize,
        bytes: &'a [u8],
        /// Whether the write is a store through a mapping.
        is_store: bool,
    },
    Size {
        call: usize,
        length: usize,
        is_included: bool,
        /// The bytes that a truncation sets to zero in the last page that it keeps. Empty if no
        /// state shows whether these zeros are on the disk.
        ///
        /// File systems write this page as data. It can reach the disk before the new length. Apart
        /// from ext4, it can reach the disk after the new length, and after a later growth.
        zeros: Range<usize>,
        /// The offset behind which all earlier bytes are gone. Behind the length, the zeros can be
        /// missing. `usize::MAX` if the new length is not included.
        cut: usize,
    },
    /// A sync that wrote these pages alone.
    Sync(&'a BTreeSet<usize>),
}

/// Lists the events of a file since its last sync.
pub(crate) fn since<'a>(
    journal: &'a Journal,
    durable: &'a Durable<'_>,
    file: NodeId,
    since: usize,
    included: &Included,
) -> Vec<FileEvent<'a>> {
    let mut events = Vec::new();
    for index in durable.changes_since(file, since) {
        let logged = &journal.log[index];
        match &logged.event {
            Event::Write {
                offset,
                bytes,
                is_store,
                ..
            } => {
                events.push(FileEvent::Write {
                    call: logged.call,
                    offset: *offset,
                    bytes,
                    is_store: *is_store,
                });
            }
            Event::Metadata(parts) => {
                let unit = durable.unit_at(index);
                for (number, part) in parts.iter().enumerate() {
                    if let Some(length) = part.size_of(file) {
                        events.push(FileEvent::Size {
                            call: logged.call,
                            length,
                            is_included: included.has((unit, number)),
                            zeros: 0..0,
                            cut: usize::MAX,
                        });
                    }
                }
            }
            Event::Sync { .. } => {
                let pages = durable.synced_pages.get(&index);
                events.extend(pages.map(FileEvent::Sync));
            }
            Event::FailedSync { .. } | Event::SyncAll => {}
        }
    }
    events
}

/// Tells, for each event, whether it is a truncation before whose zeros the file can grow.
///
/// A later write to the page of the zeros brings them. A greater length does not, nor do other
/// pages. Only changes that the state can have count.
///
/// Besides, returns the greatest length that `ftruncate` can set before any zeros.
// Measured on Linux 6.18: XFS brings other pages, and Btrfs a greater length. ext4 writes the zeros
// before it commits the truncation.
pub(crate) fn grow_before_zeros(events: &[FileEvent<'_>], model: PowerLoss) -> (Vec<bool>, usize) {
    let (mut set, mut written) = (0, 0);
    let mut found = vec![false; events.len()];
    if model == PowerLoss::Ext4Ordered {
        return (found, 0);
    }
    for (event, found) in events.iter().zip(&mut found).rev() {
        match event {
            FileEvent::Size {
                length,
                is_included: true,
                ..
            } => {
                *found = set > *length || written > length.next_multiple_of(PAGE);
                set = set.max(*length);
            }
            // Then the state has no later change.
            FileEvent::Size { .. } if model == PowerLoss::Journaled => (set, written) = (0, 0),
            FileEvent::Write {
                offset,
                bytes,
                is_store: false,
                ..
            } => written = written.max(offset + bytes.len()),
            FileEvent::Size { .. } | FileEvent::Write { .. } | FileEvent::Sync(_) => {}
        }
    }
    (found, set)
}
