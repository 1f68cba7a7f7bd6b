//! The bytes that a disk can have behind the end of a file, in its last page.
//!
//! Btrfs does not write the zeros of a truncation: a sync finds nothing to write. The old bytes
//! stay on the disk until the page is written. If `ftruncate` makes the file longer, the new length
//! can reach the disk before the zeros (measured on Linux 6.18.44).

use crate::durable_bytes::PAGE;
use crate::sparse_bytes::SparseBytes;
use std::collections::BTreeSet;
use std::ops::Range;

/// The bytes behind the end of one file.
#[derive(Debug, Default)]
pub(crate) struct BehindEnd {
    /// The bytes from the end of the file to the end of the page. Empty if they are zeros.
    bytes: Vec<u8>,
    /// Whether the next sync writes the page, and so the zeros.
    is_dirty: bool,
}

impl BehindEnd {
    /// Notes a change of the length. `file` has the bytes before.
    pub(crate) fn resize(&mut self, file: &SparseBytes, length: usize) {
        let before = file.len();
        if length >= before {
            self.is_dirty |= length > before;
            return;
        }
        let end = length.next_multiple_of(PAGE);
        let mut bytes = file.read(length..end);
        let is_same_page = before < end;
        if is_same_page && !self.is_dirty && !self.bytes.is_empty() {
            bytes[before - length..].copy_from_slice(&self.bytes);
        }
        *self = Self {
            bytes,
            is_dirty: false,
        };
    }

    /// Notes a write to these bytes of a file, which had this length before.
    pub(crate) fn write(&mut self, range: &Range<usize>, length: usize) {
        self.is_dirty |= range.end > length / PAGE * PAGE;
    }

    /// Notes a sync of these pages of a file of this length, or of all pages.
    pub(crate) fn sync(&mut self, pages: Option<&BTreeSet<usize>>, length: usize) {
        if self.is_dirty && pages.is_none_or(|pages| pages.contains(&(length / PAGE))) {
            *self = Self::default();
        }
    }

    /// Returns the bytes from the end of the file to the end of the page. Empty if they are zeros.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
