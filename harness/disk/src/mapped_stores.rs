//! Stores through shared mappings, and syncs of some pages of a file.

use crate::durable_bytes::PAGE;
use crate::file_system::NodeId;
use crate::journal::{Event, Journal, SyncKind};
use std::fmt;
use std::ops::Range;

/// The error of a sync of some pages, after which the length of the file is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownLength;

impl fmt::Display for UnknownLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sync of some pages of a file that unsynced writes have made longer")
    }
}

impl std::error::Error for UnknownLength {}

impl Journal {
    /// Stores bytes through a shared mapping of a file. Bytes behind the end of the file are lost.
    pub fn store(&mut self, file: NodeId, offset: usize, bytes: &[u8]) {
        let Some(length) = self.length(file).filter(|length| *length > offset) else {
            return;
        };
        let bytes = &bytes[..bytes.len().min(length - offset)];
        if !bytes.is_empty() {
            self.log(Event::Write {
                file,
                offset,
                grows: false,
                is_store: true,
                bytes: bytes.into(),
            });
        }
    }

    /// Syncs the pages of a file that contain these bytes, as `msync` does. Syncs metadata as
    /// [`SyncKind::Data`] does.
    ///
    /// # Errors
    ///
    /// When writes behind the pages have made the file longer since its last sync: no rule says
    /// which length the disk has then.
    pub fn sync_range(&mut self, node: NodeId, bytes: Range<usize>) -> Result<(), UnknownLength> {
        let pages = pages(&bytes);
        for logged in self.log.iter().rev() {
            match &logged.event {
                Event::Sync {
                    node: synced,
                    pages: None,
                    ..
                } if *synced == node => break,
                Event::SyncAll => break,
                Event::Write {
                    file,
                    offset,
                    bytes,
                    grows: true,
                    ..
                } if *file == node && offset + bytes.len() > pages.end * PAGE => {
                    return Err(UnknownLength);
                }
                _ => {}
            }
        }
        self.log(Event::Sync {
            node,
            kind: SyncKind::Data,
            pages: Some(pages),
        });
        Ok(())
    }

    /// Fails to sync the pages of a file that contain these bytes.
    pub fn fail_sync_range(&mut self, node: NodeId, bytes: &Range<usize>) {
        self.log(Event::FailedSync {
            node,
            pages: Some(pages(bytes)),
        });
    }
}

/// Returns the pages that contain these bytes.
fn pages(bytes: &Range<usize>) -> Range<usize> {
    bytes.start / PAGE..bytes.end.div_ceil(PAGE)
}
