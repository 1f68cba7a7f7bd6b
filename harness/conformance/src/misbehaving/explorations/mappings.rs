//! Programs that change files through shared mappings.

mod concurrent;
mod followed;
mod identities;
mod refused;
mod volatile;

use clarity_chaos::Result;
use clarity_chaos::explore::{ExploreError, Explored};
use rustix::mm::{MapFlags, MsyncFlags, ProtFlags, mmap, msync, munmap};
use std::fs::File;
use std::path::Path;

/// The size of a page, in bytes.
const PAGE: usize = 4096;

/// A shared mapping of a whole file.
struct Mapping {
    address: *mut u8,
    length: usize,
}

// SAFETY: all accesses are volatile, as for memory that other processes change.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(file: &File, protection: ProtFlags) -> Result<Self> {
        let length = usize::try_from(file.metadata()?.len())?;
        // SAFETY: the kernel chooses an address that is free.
        let address = unsafe {
            mmap(
                std::ptr::null_mut(),
                length,
                protection,
                MapFlags::SHARED,
                file,
                0,
            )
        }?;
        let address = address.cast();
        Ok(Self { address, length })
    }

    fn writable(path: &Path) -> Result<Self> {
        Self::new(&open(path)?, ProtFlags::READ | ProtFlags::WRITE)
    }

    fn store(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.length);
        for (index, byte) in bytes.iter().enumerate() {
            // SAFETY: the place is in the mapping.
            unsafe { self.address.add(offset + index).write_volatile(*byte) };
        }
    }

    /// Stores eight bytes with one instruction, which can cross the border of a page.
    fn store_word(&self, offset: usize, word: u64) {
        assert!(offset + 8 <= self.length);
        // SAFETY: the place is in the mapping.
        unsafe { self.address.add(offset).cast::<u64>().write_unaligned(word) };
    }

    fn load(&self, offset: usize) -> u8 {
        assert!(offset < self.length);
        // SAFETY: the place is in the mapping.
        unsafe { self.address.add(offset).read_volatile() }
    }

    fn sync(&self, offset: usize, length: usize) -> Result {
        self.sync_with(offset, length, MsyncFlags::SYNC)
    }

    fn sync_with(&self, offset: usize, length: usize, flags: MsyncFlags) -> Result {
        assert!(offset + length <= self.length);
        // SAFETY: the range is in the mapping.
        unsafe { msync(self.address.add(offset).cast(), length, flags) }?;
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing uses the mapping any more.
        let _ = unsafe { munmap(self.address.cast(), self.length) };
    }
}

fn open(path: &Path) -> Result<File> {
    Ok(File::options().read(true).write(true).open(path)?)
}

/// Requires an error that contains all `words`.
#[track_caller]
fn broken(explored: Result<Explored, ExploreError>, words: &[&str]) {
    match explored {
        Err(ExploreError::Broken(broken)) => contains(&broken.to_string(), words),
        other => panic!("the wrong program is not broken: {other:?}"),
    }
}

#[track_caller]
fn refused(explored: Result<Explored, ExploreError>, words: &[&str]) {
    match explored {
        Err(ExploreError::NotExplorable(refused)) => contains(&refused.to_string(), words),
        other => panic!("the program is not refused: {other:?}"),
    }
}

#[track_caller]
fn contains(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

/// Writes a mapped file with the name `log`.
fn log(dir: &Path, write: fn(&Mapping) -> Result) -> Result {
    write(&Mapping::writable(&dir.join("log"))?)
}
