//! The durable bytes of a file, with the pages that a failed sync has lost.
//!
//! After a failed sync, the kernel treats the unwritten pages of the file as clean. A later sync
//! succeeds without writing them, and reads still return the new bytes. A new write to a page makes
//! the page dirty again, so the next sync writes all of the page ([Can Applications Recover from
//! fsync Failures?](https://www.usenix.org/conference/atc20/presentation/rebello), 2020).

use crate::file_system::{FileSystem, NodeId};
use crate::journal::{Event, Logged};
use crate::snapshot::File;
use crate::sparse_bytes::SparseBytes;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The size of a page of the kernel's cache, in bytes.
pub(crate) const PAGE: usize = SparseBytes::PAGE;

/// The bytes of a file at its last sync.
#[derive(Clone, Debug, Default)]
pub(crate) struct DurableBytes {
    pub(crate) bytes: SparseBytes,
    /// The index, in the journal's log, of the first event that the bytes do not contain.
    pub(crate) since: usize,
    /// The possible contents of each page that failed syncs have lost: at first the durable one, at
    /// last the one that the program reads.
    pub(crate) lost: BTreeMap<usize, Vec<Vec<u8>>>,
    /// The bytes from the end of the file to the end of its last page that a growth can show. Empty
    /// if they are zeros.
    pub(crate) behind_end: Vec<u8>,
}

impl DurableBytes {
    /// Returns the bytes of a file before the first call.
    pub(crate) fn initial(file: Option<&File>) -> Self {
        Self {
            bytes: file.map_or_else(SparseBytes::default, |file| file.bytes.clone()),
            ..Self::default()
        }
    }

    /// Returns the bytes after a successful sync at the end of `log`. `lost` has the pages that
    /// failed syncs have lost, and that no later write has touched. `synced_pages` has the pages
    /// that syncs of a range have written, by the index of the sync in the log.
    pub(crate) fn synced(
        &self,
        log: &[Logged],
        file: NodeId,
        live: &FileSystem,
        lost: &BTreeSet<usize>,
        synced_pages: &BTreeMap<usize, BTreeSet<usize>>,
    ) -> Self {
        let contents = |number: &usize| {
            let is_written = |index| {
                let pages: Option<&BTreeSet<usize>> = synced_pages.get(&index);
                pages.is_some_and(|pages| pages.contains(number))
            };
            (*number, self.page_contents(log, file, *number, is_written))
        };
        let current = live
            .file(file)
            .map_or_else(SparseBytes::default, |found| found.bytes.clone());
        let mut synced = Self {
            lost: lost.iter().map(contents).collect(),
            since: log.len(),
            bytes: current,
            behind_end: Vec::new(),
        };
        for (number, contents) in &synced.lost {
            let start = number * PAGE;
            let length = synced.bytes.len().saturating_sub(start).min(PAGE);
            synced.bytes.write(start, &contents[0][..length]);
        }
        synced
    }

    /// Returns the same bytes, of which the last page can have the old bytes behind the end.
    pub(crate) fn with_bytes_behind_end(mut self) -> Self {
        let end = self.bytes.len();
        let start = end / PAGE * PAGE;
        if !self.behind_end.is_empty() {
            let zeros = self.bytes.read(start..start + PAGE);
            let mut old = zeros.clone();
            old[end - start..].copy_from_slice(&self.behind_end);
            self.lost
                .entry(end / PAGE)
                .or_insert_with(|| vec![old, zeros]);
        }
        self
    }

    /// Lists the possible contents of a page, by replaying the events since the last sync.
    /// `is_written` tells whether the sync at an index in the log has written the page.
    fn page_contents(
        &self,
        log: &[Logged],
        file: NodeId,
        number: usize,
        is_written: impl Fn(usize) -> bool,
    ) -> Vec<Vec<u8>> {
        let range = number * PAGE..(number + 1) * PAGE;
        let mut contents = self.contents_at_sync(&range);
        let mut page = contents.last().cloned().unwrap_or_default();
        for (index, logged) in log.iter().enumerate().skip(self.since) {
            match &logged.event {
                Event::Write {
                    file: written,
                    offset,
                    bytes,
                    ..
                } if *written == file => {
                    let (from, to) = (
                        range.start.max(*offset),
                        range.end.min(offset + bytes.len()),
                    );
                    if from < to {
                        page[from - range.start..to - range.start]
                            .copy_from_slice(&bytes[from - offset..to - offset]);
                        contents.push(page.clone());
                    }
                }
                Event::Sync { node, .. } if *node == file && is_written(index) => {
                    contents = vec![page.clone()];
                }
                Event::Metadata(parts) => {
                    for length in parts.iter().filter_map(|part| part.size_of(file)) {
                        let cut = length.saturating_sub(range.start).min(PAGE);
                        page[cut..].fill(0);
                        // The zeros behind the new end are bytes of the page, and can be lost.
                        let with_zeros = contents.clone().into_iter().map(|mut page| {
                            page[cut..].fill(0);
                            page
                        });
                        if cut > 0 {
                            contents.extend(with_zeros);
                        } else {
                            contents = with_zeros.collect();
                        }
                    }
                }
                _ => {}
            }
        }
        contents
    }

    /// Lists the possible bytes of a part of one page at the last sync. Bytes behind the end are
    /// zeros.
    pub(crate) fn contents_at_sync(&self, range: &Range<usize>) -> Vec<Vec<u8>> {
        if let Some(contents) = self.lost.get(&(range.start / PAGE)) {
            let start = range.start % PAGE;
            let part = |page: &Vec<u8>| page[start..start + range.len()].to_vec();
            return contents.iter().map(part).collect();
        }
        vec![self.bytes.read(range.clone())]
    }
}
