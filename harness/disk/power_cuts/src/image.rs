//! The content of a disk, in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

const PAGE: usize = 4096;

type Pages = HashMap<u64, Box<[u8]>>;

/// The content of a disk. Clones share the content of the template.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// The length in bytes.
    pub(crate) length: u64,
    template: Arc<Pages>,
    /// The pages that differ from the template.
    changed: HashMap<u64, Arc<[u8]>>,
}

impl Image {
    /// Reads a file; its content becomes the template.
    pub(crate) fn read(file: &mut File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let mut pages = Pages::new();
        let mut page = vec![0; PAGE];
        for number in 0..length / PAGE as u64 {
            file.read_exact(&mut page)?;
            if page.iter().any(|byte| *byte != 0) {
                pages.insert(number, page.clone().into());
            }
        }
        Ok(Self {
            length,
            template: Arc::new(pages),
            changed: HashMap::new(),
        })
    }

    /// Fills the buffer with the bytes at this offset.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) {
        for (number, start, range) in parts(offset, buffer.len()) {
            let length = range.len();
            match self.page(number) {
                Some(page) => buffer[range].copy_from_slice(&page[start..start + length]),
                None => buffer[range].fill(0),
            }
        }
    }

    /// Writes bytes at this offset.
    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) {
        for (number, start, range) in parts(offset, bytes.len()) {
            let mut page = self.page(number).map_or(vec![0; PAGE], <[u8]>::to_vec);
            page[start..start + range.len()].copy_from_slice(&bytes[range]);
            self.changed.insert(number, page.into());
        }
    }

    fn page(&self, number: u64) -> Option<&[u8]> {
        let changed = self.changed.get(&number).map(|page| &**page);
        changed.or_else(|| self.template.get(&number).map(|page| &**page))
    }
}

/// Splits a range of bytes at the borders of pages. Returns for each part the number of its page,
/// its offset in the page, and its range in the buffer.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let start = (at % PAGE as u64) as usize;
        let range = done..length.min(done + PAGE - start);
        done = range.end;
        (!range.is_empty()).then_some((at / PAGE as u64, start, range))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    #[test]
    fn write_across_pages_changes_its_bytes_alone() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 3 * PAGE]).unwrap();
        file.rewind().unwrap();
        let template = Image::read(&mut file).unwrap();
        let mut image = template.clone();
        image.write_at(4000, &[2; 5000]);
        let mut expected = vec![1; 3 * PAGE];
        expected[4000..9000].fill(2);
        let mut found = vec![0; 3 * PAGE];
        image.read_at(0, &mut found);
        assert_eq!(found, expected);
        template.read_at(0, &mut found);
        assert_eq!(found, [1; 3 * PAGE]);
    }
}
