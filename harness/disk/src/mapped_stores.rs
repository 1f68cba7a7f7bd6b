//! Stores through shared mappings, and syncs of mapped bytes that fail.

use crate::file_system::NodeId;
use crate::journal::{Event, Journal};
use std::ops::Range;

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

    /// Fails to sync the pages of a file with these bytes. An empty range loses nothing.
    pub fn fail_sync_range(&mut self, file: NodeId, range: Range<usize>) {
        if !range.is_empty() {
            self.log(Event::FailedSync {
                node: file,
                range: Some(range),
            });
        }
    }
}
