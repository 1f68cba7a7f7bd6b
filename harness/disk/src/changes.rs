//! The changes of a node that no sync has brought.

use crate::behind_end::BehindEnd;
use crate::durable_bytes::PAGE;
use crate::unit::PartId;
use std::collections::BTreeSet;
use std::ops::Range;

/// The unsynced changes of a file or directory.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Whether bytes or the length changed.
    pub(crate) data: bool,
    /// Whether anything changed.
    pub(crate) any: bool,
    /// The part that created the node, if a call did.
    pub(crate) creation: Option<PartId>,
    /// The end of the log at the last change that `fsync` must commit, as an index.
    pub(crate) sync: usize,
    /// The same for `fdatasync`, without the growth by writes.
    pub(crate) data_sync: usize,
    /// For each write that made the file longer, the end of the log, and the bytes behind the
    /// length before.
    pub(crate) growths: Vec<(usize, Range<usize>)>,
    /// Whether a call has set the time of modification to the present.
    pub(crate) is_modified: bool,
    /// The pages with bytes that no sync has written.
    pub(crate) dirty: BTreeSet<usize>,
    /// The pages that a failed sync has lost, and that no later write has touched.
    pub(crate) lost: BTreeSet<usize>,
    pub(crate) behind_end: BehindEnd,
}

impl Changes {
    /// Notes a truncation to a smaller length, in bytes.
    // The kernel drops the pages behind the end without writing them. It sets the rest of the last
    // page to zero, as a write of zeros would.
    pub(crate) fn cut(&mut self, length: usize) {
        let end = length.div_ceil(PAGE);
        for pages in [&mut self.dirty, &mut self.lost] {
            pages.split_off(&end);
        }
        if !length.is_multiple_of(PAGE) {
            self.dirty.insert(length / PAGE);
            self.lost.remove(&(length / PAGE));
        }
    }

    /// Returns the last change that `fdatasync` must commit if it writes these pages, or all.
    // ext4 commits a greater length when it writes the pages of the growth.
    pub(crate) fn last_data_change(&self, pages: Option<&BTreeSet<usize>>) -> usize {
        let is_written = |growth: &Range<usize>| {
            let mut of_growth = growth.start / PAGE..growth.end.div_ceil(PAGE);
            pages.is_none_or(|pages| of_growth.any(|page| pages.contains(&page)))
        };
        let growths = self.growths.iter().filter(|(_, growth)| is_written(growth));
        growths.fold(self.data_sync, |last, (index, _)| last.max(*index))
    }
}
