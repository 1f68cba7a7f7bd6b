//! The bytes of a file, without the pages that are zeros.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The size of a page, in bytes.
const PAGE: usize = 4096;

/// The bytes of a file. Holes and pages of zeros need no memory.
///
/// A clone shares all pages with the original. A change copies only the pages that it touches.
/// Comparing or hashing again costs little for pages that have not changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SparseBytes {
    length: usize,
    /// The pages that have other bytes than zeros, by number. None has bytes behind the length.
    // Equal bytes have equal pages, so the derived comparison is right.
    pages: Arc<BTreeMap<usize, Arc<Page>>>,
}

/// A page's bytes up to the last one that is not zero, and their hash once it is needed.
#[derive(Clone, Debug, Default)]
struct Page {
    bytes: Vec<u8>,
    hash: OnceLock<u64>,
}

impl PartialEq for Page {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Page {}

impl Hash for Page {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let hash = || {
            let mut hasher = DefaultHasher::new();
            self.bytes.hash(&mut hasher);
            hasher.finish()
        };
        state.write_u64(*self.hash.get_or_init(hash));
    }
}

impl Page {
    fn truncate(&mut self, length: usize) {
        self.hash = OnceLock::new();
        self.bytes.truncate(length);
        let used = self.bytes.iter().rposition(|byte| *byte != 0);
        self.bytes.truncate(used.map_or(0, |last| last + 1));
    }
}

impl SparseBytes {
    /// The size of a page, in bytes.
    pub const PAGE: usize = PAGE;

    /// Returns the length, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the length is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Writes bytes at this offset. Makes the file longer if the bytes end behind its end.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.length = self.length.max(offset + bytes.len());
        let pages = Arc::make_mut(&mut self.pages);
        let mut written = 0;
        while written < bytes.len() {
            let start = (offset + written) % PAGE;
            let number = (offset + written) / PAGE;
            let count = (PAGE - start).min(bytes.len() - written);
            let new = &bytes[written..written + count];
            written += count;
            let is_zero = new.iter().all(|byte| *byte == 0);
            if is_zero && !pages.contains_key(&number) {
                continue;
            }
            let page = Arc::make_mut(pages.entry(number).or_default());
            let end = (start + count).max(page.bytes.len());
            page.bytes.resize(end, 0);
            page.bytes[start..start + count].copy_from_slice(new);
            page.truncate(PAGE);
            if page.bytes.is_empty() {
                pages.remove(&number);
            }
        }
    }

    /// Sets the length. New bytes are zeros.
    pub fn resize(&mut self, length: usize) {
        if length < self.length && self.pages.range(length / PAGE..).next().is_some() {
            let pages = Arc::make_mut(&mut self.pages);
            pages.split_off(&length.div_ceil(PAGE));
            let number = length / PAGE;
            if let Some(page) = pages.get_mut(&number) {
                Arc::make_mut(page).truncate(length % PAGE);
                if page.bytes.is_empty() {
                    pages.remove(&number);
                }
            }
        }
        self.length = length;
    }

    /// Copies the bytes of a range. Bytes behind the end are zeros.
    #[must_use]
    pub fn read(&self, range: Range<usize>) -> Vec<u8> {
        let mut bytes = vec![0; range.len()];
        for (number, page) in self
            .pages
            .range(range.start / PAGE..range.end.div_ceil(PAGE))
        {
            let start = number * PAGE;
            let from = start.max(range.start);
            let to = (start + page.bytes.len()).min(range.end);
            if from < to {
                bytes[from - range.start..to - range.start]
                    .copy_from_slice(&page.bytes[from - start..to - start]);
            }
        }
        bytes
    }

    /// Copies all bytes, holes included.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.read(0..self.length)
    }

    /// Returns the numbers of the pages that have other bytes than zeros, ascending. Each comes
    /// with its bytes up to the last one that is not zero.
    pub fn pages(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let pages = self.pages.iter();
        pages.map(|(number, page)| (*number, page.bytes.as_slice()))
    }

    /// Returns the bytes of a page, as [`pages`](Self::pages) does. Empty if they are zeros.
    #[must_use]
    pub fn page(&self, number: usize) -> &[u8] {
        self.pages.get(&number).map_or(&[], |page| &page.bytes)
    }
}

impl From<&[u8]> for SparseBytes {
    fn from(bytes: &[u8]) -> Self {
        let mut sparse = Self::default();
        sparse.write(0, bytes);
        sparse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes the same changes to sparse bytes and to a vector, which must stay equal.
    #[test]
    fn changes_have_the_effects_that_they_have_on_a_vector() {
        let mut seed = 7_u64;
        let mut draw = |limit: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % limit
        };
        let (mut sparse, mut plain) = (SparseBytes::default(), Vec::new());
        let mut earlier = Vec::new();
        for _ in 0..2000 {
            let offset = draw(5 * PAGE);
            if draw(3) == 0 {
                sparse.resize(offset);
                plain.resize(offset, 0);
            } else {
                let byte = u8::try_from(draw(3)).unwrap();
                let bytes = vec![byte; draw(2 * PAGE)];
                sparse.write(offset, &bytes);
                if !bytes.is_empty() {
                    plain.resize(plain.len().max(offset + bytes.len()), 0);
                    plain[offset..offset + bytes.len()].copy_from_slice(&bytes);
                }
            }
            assert_eq!(sparse.to_vec(), plain);
            let anew = SparseBytes {
                length: plain.len(),
                ..SparseBytes::from(plain.as_slice())
            };
            assert_eq!(sparse, anew);
            assert_eq!(hash(&sparse), hash(&anew));
            assert!(sparse.pages().all(|(_, page)| page.last() != Some(&0)));
            if draw(100) == 0 {
                earlier.push((sparse.clone(), plain.clone()));
            }
        }
        // Clones keep their bytes.
        for (sparse, plain) in earlier {
            assert_eq!(sparse.to_vec(), plain);
        }
    }

    #[test]
    fn range_behind_the_end_reads_as_zeros() {
        let bytes = SparseBytes::from(&[1; 5000][..]);
        assert_eq!(bytes.read(4998..5002), [1, 1, 0, 0]);
        assert_eq!(bytes.read(9000..9002), [0, 0]);
    }

    fn hash(bytes: &SparseBytes) -> u64 {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        hasher.finish()
    }
}
