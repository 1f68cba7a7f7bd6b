//! The lengths that a file can have on the disk while writes make it longer.

use crate::durable_bytes::PAGE;
use std::ops::Range;

/// Lists the lengths that a file of length `base` can have on the disk while writes that end at
/// `ends` make it longer: that after a write, or a multiple of the page size.
pub(crate) fn possible(base: usize, ends: Vec<usize>) -> Vec<usize> {
    let grown = ends.iter().copied().max().unwrap_or(base).max(base);
    let borders = (base / PAGE + 1..).map(|block| block * PAGE);
    let mut lengths: Vec<usize> = borders.take_while(|border| *border < grown).collect();
    lengths.extend(ends.into_iter().filter(|end| *end > base));
    lengths.push(base);
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

/// Returns the length that a file has at least after a sync of one page. It has at least the
/// length `base` before.
///
/// `ends` are the ends of unsynced writes, `growths` the bytes by which they made the file longer,
/// and `live` is the length that the program sees.
// ext4 sets the length when it allocates a block, or when a write grows inside of a block. A page
// that has a block keeps a shorter length, also if another page made the file longer.
pub(crate) fn after_sync(
    page: usize,
    base: usize,
    ends: &[usize],
    growths: &[Range<usize>],
    live: usize,
) -> usize {
    let page = page * PAGE..(page + 1) * PAGE;
    let is_inside = |length: &usize| page.start < *length && *length < page.end;
    if !is_inside(&base) && !ends.iter().any(is_inside) {
        return base.max(page.end.min(live));
    }
    let grown = growths
        .iter()
        .filter(|growth| growth.start < page.end && page.start < growth.end);
    grown.fold(base, |base, growth| base.max(growth.end.min(page.end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_lengths_are_ends_of_writes_and_borders_of_pages() {
        assert_eq!(possible(100, vec![]), [100]);
        assert_eq!(possible(100, vec![50]), [100]);
        assert_eq!(possible(100, vec![200, 9000]), [100, 200, 4096, 8192, 9000]);
    }
}
