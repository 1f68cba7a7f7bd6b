//! Conversions of the raw arguments of a system call.

use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::file_call::Sync;
use rustix::pipe::SpliceFlags;
use std::fs;
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

/// Whether an ioctl with this `request` sets flags of a file (`FS_IOC_SETFLAGS`,
/// `FS_IOC_FSSETXATTR`).
pub(super) fn sets_flags(request: u64) -> bool {
    const SET_FLAGS: u64 = 0x4008_6602;
    const SET_EXTENDED_FLAGS: u64 = 0x401c_5820;
    matches!(request & 0xffff_ffff, SET_FLAGS | SET_EXTENDED_FLAGS)
}

/// Reads the bytes that are in the pipe `from`, at most `limit` bytes. They stay in the pipe.
///
/// # Errors
///
/// When the pipe is empty, or `from` is no pipe.
pub(super) fn piped_bytes(tracee: &Tracee, from: u64, limit: u64) -> io::Result<Vec<u8>> {
    let limit = length(limit)?;
    let pipe = tracee.reopen(descriptor(from))?;
    let (copy, sink) = rustix::pipe::pipe()?;
    // The copy has room for all bytes of the other pipe.
    let size = rustix::pipe::fcntl_getpipe_size(&pipe)?;
    rustix::pipe::fcntl_setpipe_size(&sink, size)?;
    let count = rustix::pipe::tee(&pipe, &sink, limit, SpliceFlags::NONBLOCK)?;
    let mut bytes = vec![0; count];
    io::Read::read_exact(&mut fs::File::from(copy), &mut bytes)?;
    Ok(bytes)
}

/// The treatment of the offset by the flags of `pwritev2`.
pub(super) struct WriteFlags {
    /// Whether the write appends; none if the descriptor decides.
    pub(super) appends: Option<bool>,
    pub(super) sync: Option<Sync>,
}

impl WriteFlags {
    /// The flags of writes that have none of their own.
    pub(super) const NONE: Self = Self {
        appends: None,
        sync: None,
    };

    /// Reads the flags of `pwritev2`. Gives none if the write may fail or be torn in its own way.
    pub(super) fn read(flags: u64) -> Option<Self> {
        const HIGH_PRIORITY: u64 = 1;
        const DATA_SYNC: u64 = 2;
        const FULL_SYNC: u64 = 4;
        const APPEND: u64 = 0x10;
        const NO_APPEND: u64 = 0x20;
        if flags & !(HIGH_PRIORITY | DATA_SYNC | FULL_SYNC | APPEND | NO_APPEND) != 0 {
            return None;
        }
        Some(Self {
            appends: match flags & (APPEND | NO_APPEND) {
                0 => None,
                flag => Some(flag & APPEND != 0),
            },
            sync: match flags & (DATA_SYNC | FULL_SYNC) {
                0 => None,
                DATA_SYNC => Some(Sync::Data),
                _ => Some(Sync::Full),
            },
        })
    }
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
