//! Frees the blocks in the middle of a file.

use std::fs::File;
use std::io;

/// The unit in which file systems free blocks, in bytes. Some file systems use larger units.
pub(crate) const BLOCK: u64 = 4096;

/// Frees the blocks of `file` from `from` on, `length` bytes in total. The length of the file stays
/// the same, and the freed range then contains zeros.
///
/// # Errors
///
/// When the file system cannot free blocks inside a file.
#[cfg(target_os = "linux")]
pub(crate) fn punch(file: &File, from: u64, length: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(file, flags, from, length)?)
}

/// Returns an error: the harness frees no blocks on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn punch(_file: &File, _from: u64, _length: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
