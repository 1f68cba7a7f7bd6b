//! Stores through shared mappings.

use crate::file_system::NodeId;
use crate::journal::{Event, Journal};

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
}
