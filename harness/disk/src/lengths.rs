//! The lengths that a file can have on the disk while writes make it longer.

use crate::durable_bytes::PAGE;

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
