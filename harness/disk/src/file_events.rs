//! The changes of one file's bytes and length since its last sync.

use crate::durable::Durable;
use crate::file_system::NodeId;
use crate::journal::{Event, Journal};
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

/// Lists the events of a file since its last sync.
pub(crate) fn since<'a>(
    journal: &'a Journal,
    durable: &Durable<'_>,
    file: NodeId,
    since: usize,
    included: &Included,
) -> Vec<FileEvent<'a>> {
    let mut events = Vec::new();
    for index in durable.changes_since(file, since) {
        let logged = &journal.log[index];
        match &logged.event {
            Event::Write { offset, bytes, .. } => {
                events.push(FileEvent::Write {
                    call: logged.call,
                    offset: *offset,
                    bytes,
                });
            }
            Event::Metadata(parts) => {
                let unit = durable.unit_at(index);
                for (number, part) in parts.iter().enumerate() {
                    if let Some(length) = part.size_of(file) {
                        events.push(FileEvent::Size {
                            length,
                            is_included: included.has((unit, number)),
                            zeros: 0..0,
                        });
                    }
                }
            }
            Event::Sync { .. } => {
                let range = durable.ranges.get(&index).cloned();
                events.extend(range.map(FileEvent::Sync));
            }
            Event::FailedSync { .. } | Event::SyncAll => {}
        }
    }
    events
}
