//! The changes of one file's bytes and length since its last sync.

use crate::durable::Durable;
use crate::file_system::NodeId;
use crate::journal::{Event, Journal, Part};
use crate::metadata::Included;
use std::ops::Range;

/// An unsynced event of a file.
#[derive(Debug)]
pub(crate) enum FileEvent<'a> {
    Write {
        call: usize,
        offset: usize,
        bytes: &'a [u8],
    },
    Size {
        length: usize,
        is_included: bool,
        /// The bytes that a truncation sets to zero in the last page that it keeps.
        ///
        /// File systems write this page as data, before they commit the new length. Empty if the
        /// new length is included.
        zeros: Range<usize>,
    },
    /// A sync of these bytes alone.
    Sync(Range<usize>),
}

impl FileEvent<'_> {
    /// Returns the bytes that the disk can have otherwise than at the last sync, but for writes.
    pub(crate) fn range(&self) -> Range<usize> {
        match self {
            Self::Write { .. } => 0..0,
            Self::Size { zeros, .. } => zeros.clone(),
            Self::Sync(range) => range.clone(),
        }
    }
}

/// Lists the events of a file since its last sync.
pub(crate) fn since<'a>(
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
                ..
            } if *written == file => {
                events.push(FileEvent::Write {
                    call: logged.call,
                    offset: *offset,
                    bytes,
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
                        events.push(FileEvent::Size {
                            length: *length,
                            is_included: included.has((unit, number)),
                            zeros: 0..0,
                        });
                    }
                }
            }
            Event::Sync { node, .. } if *node == file => {
                let range = durable.ranges.get(&index).cloned();
                events.extend(range.map(FileEvent::Sync));
            }
            _ => {}
        }
    }
    events
}
