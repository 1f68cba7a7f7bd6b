//! Reads and writes files page by page, without the holes.

use clarity_chaos_disk::SparseBytes;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

const PAGE: usize = SparseBytes::PAGE;

/// The maximum number of pages that are read or written at once.
const CHUNK: usize = 64;

/// The maximum number of pages of zeros that are written instead of holes.
const MAX_ZEROS: usize = 256;

/// Reads all bytes of a file.
pub(super) fn read(file: &File) -> io::Result<SparseBytes> {
    let length = length(file)?;
    let mut bytes = SparseBytes::default();
    for_each_chunk(file, length, |page, chunk| bytes.write(page * PAGE, chunk))?;
    bytes.resize(length);
    Ok(bytes)
}

/// Writes these bytes to an empty file.
pub(super) fn fill(file: &File, bytes: &SparseBytes) -> io::Result<()> {
    let written = write_pages(file, bytes, bytes.pages().map(|(number, _)| number))?;
    if written < bytes.len() {
        file.set_len(bytes.len() as u64)?;
    }
    Ok(())
}

/// The effect of a [`patch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patch {
    /// The file had the bytes already.
    Same,
    /// The file has the bytes now.
    Changed,
    /// The file has too many pages that should be holes. Its bytes are undefined now.
    Refused,
}

/// Gives the file exactly these bytes. Writes only the pages that differ.
pub(super) fn patch(file: &File, bytes: &SparseBytes) -> io::Result<Patch> {
    let found = length(file)?;
    if found > bytes.len() {
        file.set_len(bytes.len() as u64)?;
    }
    // The pages without data are holes, which differ from all pages that are not.
    let mut differs: BTreeMap<usize, bool> =
        bytes.pages().map(|(number, _)| (number, true)).collect();
    for_each_chunk(file, found.min(bytes.len()), |first, chunk| {
        for (number, page) in (first..).zip(chunk.chunks(PAGE)) {
            let wanted = bytes.page(number);
            let (same, rest) = page.split_at(wanted.len().min(page.len()));
            let is_same = same == wanted && rest.iter().all(|byte| *byte == 0);
            differs.insert(number, !is_same);
        }
    })?;
    // A mapping can have left bytes behind the end, and these would show now.
    if found < bytes.len() && found % PAGE != 0 {
        differs.insert(found / PAGE, true);
    }
    differs.retain(|_, differs| *differs);
    // A page that is there stays there: to punch a hole, ext4 waits for the disk.
    let holes = differs.keys().filter(|page| bytes.page(**page).is_empty());
    if holes.count() > MAX_ZEROS {
        return Ok(Patch::Refused);
    }
    write_pages(file, bytes, differs.keys().copied())?;
    if found < bytes.len() {
        file.set_len(bytes.len() as u64)?;
    }
    Ok(match found == bytes.len() && differs.is_empty() {
        true => Patch::Same,
        false => Patch::Changed,
    })
}

/// Writes the pages with these numbers, which ascend. Returns the end of the last one.
fn write_pages(
    file: &File,
    bytes: &SparseBytes,
    pages: impl Iterator<Item = usize>,
) -> io::Result<usize> {
    let mut pages = pages.peekable();
    let (mut buffer, mut end) = (Vec::new(), 0);
    while let Some(first) = pages.next() {
        let mut next = first + 1;
        while next - first < CHUNK && pages.next_if_eq(&next).is_some() {
            next += 1;
        }
        end = (next * PAGE).min(bytes.len());
        buffer.clear();
        for number in first..next {
            buffer.resize((number - first) * PAGE, 0);
            buffer.extend(bytes.page(number));
        }
        buffer.resize(end - first * PAGE, 0);
        file.write_all_at(&buffer, (first * PAGE) as u64)?;
    }
    Ok(end)
}

/// Calls `work` with the data of a file below `length`: the number of the first page, and the bytes
/// of up to [`CHUNK`] pages.
fn for_each_chunk(
    file: &File,
    length: usize,
    mut work: impl FnMut(usize, &[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; length.min(CHUNK * PAGE)];
    let mut offset = 0;
    while let Some(data) = data_from(file, offset, length)? {
        offset = data.start / PAGE * PAGE;
        while offset < data.end {
            // Ends with a whole page, or with the file.
            let end = data.end.next_multiple_of(PAGE).min(length);
            let chunk = &mut buffer[..(end - offset).min(CHUNK * PAGE)];
            file.read_exact_at(chunk, offset as u64)?;
            work(offset / PAGE, chunk);
            offset += chunk.len();
        }
    }
    Ok(())
}

/// Returns the first range with data at this offset or behind it, and below `length`.
fn data_from(file: &File, offset: usize, length: usize) -> io::Result<Option<Range<usize>>> {
    if offset >= length {
        return Ok(None);
    }
    // To read a short file costs less than to find its holes.
    if length <= CHUNK * PAGE {
        return Ok(Some(offset..length));
    }
    let to_usize = |at: u64| usize::try_from(at).map_err(io::Error::other);
    let start = match seek(file, SeekFrom::Data(offset as u64)) {
        Ok(start) => to_usize(start)?,
        Err(Errno::NXIO) => return Ok(None),
        // The file system does not tell holes.
        Err(_) => return Ok(Some(offset..length)),
    };
    let end = match seek(file, SeekFrom::Hole(start as u64)) {
        Ok(end) => to_usize(end)?,
        Err(_) => length,
    };
    Ok((start < length).then(|| start..end.min(length)))
}

fn length(file: &File) -> io::Result<usize> {
    usize::try_from(file.metadata()?.len()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    fn draw(seed: &mut u64, limit: usize) -> usize {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*seed >> 33) as usize % limit
    }

    fn change(bytes: &mut SparseBytes, seed: &mut u64) {
        for _ in 0..draw(seed, 6) {
            let offset = draw(seed, 100 * PAGE);
            match draw(seed, 5) {
                0 => bytes.resize(offset),
                1 => bytes.write(offset, &vec![0; draw(seed, 3 * PAGE)]),
                _ => bytes.write(offset, &vec![7; draw(seed, 3 * PAGE)]),
            }
        }
    }

    #[test]
    fn patched_file_has_the_bytes() {
        let mut seed = 1;
        let mut bytes = SparseBytes::default();
        let mut file = tempfile::tempfile().unwrap();
        for round in 0..300 {
            let before = bytes.clone();
            change(&mut bytes, &mut seed);
            let patched = patch(&file, &bytes).unwrap();
            assert_eq!(patched == Patch::Same, before == bytes, "{round}");
            assert_eq!(read(&file).unwrap(), bytes, "{round}");
            let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
            let mut all = vec![0; length];
            file.read_exact_at(&mut all, 0).unwrap();
            assert_eq!(all, bytes.to_vec(), "{round}");
            if draw(&mut seed, 10) == 0 {
                file = tempfile::tempfile().unwrap();
                fill(&file, &bytes).unwrap();
                assert_eq!(patch(&file, &bytes).unwrap(), Patch::Same, "{round}");
            }
        }
    }

    #[test]
    fn filled_file_has_holes() {
        let mut bytes = SparseBytes::default();
        bytes.resize(64 << 20);
        bytes.write(32 << 20, b"text");
        let file = tempfile::tempfile().unwrap();
        fill(&file, &bytes).unwrap();
        assert_eq!(read(&file).unwrap(), bytes);
        assert!(file.metadata().unwrap().blocks() < 1000);
        file.write_all_at(&[1; 2 << 20], 0).unwrap();
        assert_eq!(patch(&file, &bytes).unwrap(), Patch::Refused);
    }
}
