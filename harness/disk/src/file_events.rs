//! The changes of one file's bytes and length since its last sync.

use crate::durable::Durable;
use crate::file_system::NodeId;
use crate::journal::{Event, Journal};
use crate::metadata::Included;
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
        length: usize,
        is_included: bool,
        /// The bytes that a truncation sets to zero in the last page that it keeps.
        ///
        /// File systems write this page as data, before they commit the new length. Empty if the
        /// new length is included.
        zeros: Range<usize>,
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
                            length,
                            is_included: included.has((unit, number)),
                            zeros: 0..0,
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
