//! The mapped pages that a process can write to at the moment.

use super::{call_on, path_below};
use crate::syscalls::file_call::{Effect, FileCall};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The size of a page, in bytes.
const PAGE: usize = crate::os::mapped_pages::PAGE as usize;

/// The writable pages, and the stores to them.
#[derive(Debug, Default)]
pub(super) struct OpenPages {
    pages: Vec<OpenPage>,
    stores: Vec<(u32, FileCall)>,
}

#[derive(Debug)]
struct OpenPage {
    file: Rc<File>,
    /// The offset of the page in the file, in bytes.
    offset: u64,
    /// The thread that needed the page.
    thread: u32,
    /// The bytes of the page that are recorded already.
    known: Vec<u8>,
}

impl OpenPages {
    /// Adds a page, which is still protected.
    pub(super) fn open(&mut self, file: &Rc<File>, offset: u64, thread: u32) -> io::Result<()> {
        self.pages.push(OpenPage {
            file: Rc::clone(file),
            offset,
            thread,
            known: read(file, offset)?,
        });
        Ok(())
    }

    /// Removes all pages. Call [`look`](Self::look) first.
    pub(super) fn close(&mut self) {
        self.pages.clear();
    }

    /// Removes the page at this offset of the file. Records the changes of all pages, if this page
    /// has changed.
    pub(super) fn close_one(
        &mut self,
        file: &Rc<File>,
        offset: u64,
        directory: &Path,
    ) -> io::Result<()> {
        let is_it = |page: &OpenPage| Rc::ptr_eq(&page.file, file) && page.offset == offset;
        let Some(page) = self.pages.iter().find(|page| is_it(page)) else {
            return Ok(());
        };
        if read(file, offset)? != page.known {
            self.look(directory)?;
        }
        self.pages.retain(|page| !is_it(page));
        Ok(())
    }

    pub(super) fn take_stores(&mut self) -> Vec<(u32, FileCall)> {
        std::mem::take(&mut self.stores)
    }

    /// Gives the path of a writable page's file, relative to `directory`. Gives none if no page is
    /// writable, or if the files have left the directory.
    pub(super) fn path(&self, directory: &Path) -> Option<PathBuf> {
        let mut pages = self.pages.iter();
        pages.find_map(|page| path_below(&page.file, directory))
    }

    /// Records the changed bytes of each page. The bytes of two pages are one store, since one
    /// instruction changed both.
    pub(super) fn look(&mut self, directory: &Path) -> io::Result<()> {
        let mut changes: Vec<(u32, Rc<File>, u64, Vec<u8>)> = Vec::new();
        self.pages.sort_by_key(|page| page.offset);
        for page in &mut self.pages {
            let found = read(&page.file, page.offset)?;
            let Some((start, bytes)) = changed(&page.known, &found) else {
                page.known = found;
                continue;
            };
            let offset = page.offset + start as u64;
            match changes.last_mut() {
                Some((_, file, first, before)) if Rc::ptr_eq(file, &page.file) => {
                    // The bytes between the two changes have not changed.
                    let gap = usize::try_from(offset - *first).map_err(io::Error::other)?;
                    let length = gap.saturating_sub(before.len());
                    let mut between = vec![0; length];
                    page.file
                        .read_exact_at(&mut between, offset - length as u64)?;
                    before.extend(between.iter().chain(bytes));
                }
                _ => changes.push((page.thread, Rc::clone(&page.file), offset, bytes.to_vec())),
            }
            page.known = found;
        }
        for (thread, file, offset, bytes) in changes {
            // A file that was moved out of the directory is in no state.
            if let Some(path) = path_below(&file, directory) {
                self.stores
                    .push((thread, store(&file, path, offset, bytes)));
            }
        }
        Ok(())
    }
}

/// Makes the call that stands for a store.
pub(super) fn store(file: &File, path: PathBuf, offset: u64, bytes: Vec<u8>) -> FileCall {
    let effect = Effect::Store {
        path,
        offset,
        bytes,
    };
    call_on(file, "store", effect)
}

/// Reads a page of a file, up to the end of the file.
fn read(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let mut page = vec![0; PAGE];
    let mut length = 0;
    while length < PAGE {
        match file.read_at(&mut page[length..], offset + length as u64)? {
            0 => break,
            count => length += count,
        }
    }
    page.truncate(length);
    Ok(page)
}

/// Gives the changed bytes with their index, from the first to the last one that differs.
fn changed<'a>(known: &[u8], found: &'a [u8]) -> Option<(usize, &'a [u8])> {
    let differs = |index: &usize| known.get(*index) != found.get(*index);
    let first = (0..found.len()).find(differs)?;
    let last = (first..found.len()).rfind(differs)?;
    Some((first, &found[first..=last]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn bytes(call: &FileCall) -> (u64, &[u8]) {
        match &call.effect {
            Effect::Store { offset, bytes, .. } => (*offset, bytes),
            other => panic!("{other:?} is not a store"),
        }
    }

    #[test]
    fn changes_of_open_pages_are_recorded_once() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let path = dir.join("file");
        fs::write(&path, [0; 9000]).unwrap();
        let file = File::options().read(true).write(true).open(path).unwrap();
        let file = Rc::new(file);
        let mut pages = OpenPages::default();
        assert_eq!(pages.path(&dir), None);
        pages.open(&file, 4096, 1).unwrap();
        pages.open(&file, 8192, 1).unwrap();
        assert_eq!(pages.path(&dir), Some("file".into()));
        file.write_all_at(&[1], 4100).unwrap();
        pages.look(&dir).unwrap();
        pages.look(&dir).unwrap();
        let stores = pages.take_stores();
        assert_eq!(stores.len(), 1);
        assert_eq!(bytes(&stores[0].1), (4100, &[1][..]));
        // One instruction changes both pages.
        file.write_all_at(&[2; 4], 8190).unwrap();
        pages.look(&dir).unwrap();
        let stores = pages.take_stores();
        assert_eq!(stores.len(), 1);
        assert_eq!(bytes(&stores[0].1), (8190, &[2; 4][..]));
    }
}
