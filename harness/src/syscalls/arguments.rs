//! Conversions of the raw arguments of a system call.

use crate::os::seccomp::tracee::Tracee;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Converts an argument to a descriptor, which is a signed number of 32 bits.
pub(super) fn descriptor(argument: u64) -> i32 {
    (argument & 0xffff_ffff) as u32 as i32
}

/// Converts an argument to flags. The kernel reads only the lower 32 bits.
pub(super) fn flags(argument: u64) -> i32 {
    descriptor(argument)
}

/// Converts a mode, of which 12 bits are permissions.
pub(super) fn permissions(mode: u64) -> u32 {
    (mode & 0o7777) as u32
}

/// The maximum number of bytes that a call reads or writes (read(2)).
const MAX_COUNT: u64 = 0x7fff_f000;

/// Converts an argument to a number of bytes or of vectors.
pub(super) fn length(argument: u64) -> io::Result<usize> {
    usize::try_from(argument.min(MAX_COUNT)).map_err(io::Error::other)
}

/// Whether an ioctl with this `request` shares blocks between files (`FICLONE`, `FICLONERANGE`).
pub(super) fn is_reflink(request: u64) -> bool {
    const CLONE: u64 = 0x4004_9409;
    const CLONE_RANGE: u64 = 0x4020_940d;
    matches!(request & 0xffff_ffff, CLONE | CLONE_RANGE)
}

/// Reads the bytes that a call is about to copy from the descriptor `from`, at most `limit` bytes.
///
/// Reads from the file offset that the tracee has stored at the address `offset`. If `offset` is 0,
/// reads from the current position of `from`.
pub(super) fn copied_bytes(
    tracee: &Tracee,
    from: u64,
    offset: u64,
    limit: u64,
) -> io::Result<Vec<u8>> {
    let from = descriptor(from);
    let offset = match offset {
        0 => tracee.descriptor(from)?.position,
        address => tracee.long(address)?,
    };
    let file = tracee.reopen(from)?;
    let left = file.metadata()?.len().saturating_sub(offset).min(limit);
    let mut bytes = vec![0; length(left)?];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
