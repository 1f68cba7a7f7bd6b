//! Calls that transfer bytes, and the execution of a part of such a call.

use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::process_memory::Range;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::arguments::{descriptor, length};
use rustix::fd::OwnedFd;
use rustix::fs::{copy_file_range, sendfile};
use rustix::io::{Errno, pread, pwrite, read, write};
use std::io;

/// A call that transfers bytes between a file and memory, or between two files.
#[derive(Debug)]
pub(crate) struct Transfer {
    kind: Kind,
    /// The number of bytes that the call is to transfer at most.
    pub(crate) requested: u64,
}

#[derive(Debug)]
enum Kind {
    Read(MemoryTransfer),
    Write(MemoryTransfer),
    Copy(FileTransfer),
}

/// A transfer between a file and memory.
#[derive(Debug)]
struct MemoryTransfer {
    file: i32,
    /// The offset in the file; none for the position of the descriptor.
    offset: Option<u64>,
    buffers: Vec<Range>,
}

/// A transfer between two files, by `sendfile` or `copy_file_range`.
#[derive(Debug)]
struct FileTransfer {
    is_sendfile: bool,
    from: i32,
    to: i32,
    /// The addresses of the offsets in the files; 0 for the position of the descriptor.
    from_offset: u64,
    to_offset: u64,
    length: u64,
}

impl Transfer {
    /// Gives the transfer of a waiting call. Gives none for calls that the kernel does not split,
    /// such as `getdents64`, and for calls with flags that change their meaning.
    ///
    /// # Errors
    ///
    /// When the arguments of the call cannot be read.
    pub(crate) fn of(call: &WaitingCall, tracee: &Tracee) -> io::Result<Option<Self>> {
        let a = &call.arguments;
        let memory = |offset: Option<u64>, buffers: Vec<Range>| MemoryTransfer {
            file: descriptor(a[0]),
            offset,
            buffers,
        };
        let buffer = || Ok::<_, io::Error>(vec![(a[1], length(a[2])? as u64)]);
        let vectors = || tracee.vector_ranges(a[1], length(a[2])?);
        let position = u64::MAX;
        let kind = match call.number {
            libc::SYS_read => Kind::Read(memory(None, buffer()?)),
            libc::SYS_pread64 => Kind::Read(memory(Some(a[3]), buffer()?)),
            libc::SYS_readv => Kind::Read(memory(None, vectors()?)),
            libc::SYS_preadv => Kind::Read(memory(Some(a[3]), vectors()?)),
            libc::SYS_preadv2 if a[5] == 0 => {
                Kind::Read(memory((a[3] != position).then_some(a[3]), vectors()?))
            }
            libc::SYS_write => Kind::Write(memory(None, buffer()?)),
            libc::SYS_pwrite64 => Kind::Write(memory(Some(a[3]), buffer()?)),
            libc::SYS_writev => Kind::Write(memory(None, vectors()?)),
            libc::SYS_pwritev => Kind::Write(memory(Some(a[3]), vectors()?)),
            libc::SYS_pwritev2 if a[5] == 0 => {
                Kind::Write(memory((a[3] != position).then_some(a[3]), vectors()?))
            }
            libc::SYS_sendfile => Kind::Copy(FileTransfer {
                is_sendfile: true,
                from: descriptor(a[1]),
                to: descriptor(a[0]),
                from_offset: a[2],
                to_offset: 0,
                length: length(a[3])? as u64,
            }),
            libc::SYS_copy_file_range => Kind::Copy(FileTransfer {
                is_sendfile: false,
                from: descriptor(a[0]),
                to: descriptor(a[2]),
                from_offset: a[1],
                to_offset: a[3],
                length: length(a[4])? as u64,
            }),
            _ => return Ok(None),
        };
        let requested = match &kind {
            Kind::Read(memory) | Kind::Write(memory) => {
                memory.buffers.iter().map(|(_, length)| length).sum()
            }
            Kind::Copy(files) => files.length,
        };
        Ok(Some(Self { kind, requested }))
    }

    /// Gives the offset in the file that the call reads. Gives none for a call that writes.
    pub(crate) fn read_offset(&self, tracee: &Tracee) -> io::Result<Option<u64>> {
        match &self.kind {
            Kind::Read(memory) => start(tracee, memory).map(Some),
            _ => Ok(None),
        }
    }

    /// Gives the number of bytes that the call transfers if nothing shortens it. Gives 0 for a call
    /// that cannot be split.
    pub(crate) fn divisible(&self, tracee: &Tracee) -> io::Result<u64> {
        let (file, available) = match &self.kind {
            Kind::Read(memory) => {
                let left = left(tracee, memory.file, start(tracee, memory)?)?;
                (memory.file, left)
            }
            Kind::Write(memory) => (memory.file, u64::MAX),
            Kind::Copy(files) => {
                let offset = match files.from_offset {
                    0 => tracee.descriptor(files.from)?.position,
                    address => tracee.long(address)?,
                };
                (files.to, left(tracee, files.from, offset)?)
            }
        };
        if tracee.descriptor(file)?.flags & libc::O_DIRECT != 0 {
            return Ok(0);
        }
        Ok(self.requested.min(available))
    }

    /// Executes the call in the place of its thread, for at most `limit` bytes. Gives the number of
    /// transferred bytes, or the error that the call itself returns.
    ///
    /// # Errors
    ///
    /// When the system refuses access to the files of the thread.
    pub(crate) fn execute(&self, tracee: &Tracee, limit: u64) -> io::Result<Result<u64, Errno>> {
        let limit = length(limit)?;
        let done = match &self.kind {
            Kind::Read(memory) => {
                let file = tracee.duplicate(memory.file)?;
                memory.read(tracee, &file, limit)
            }
            Kind::Write(memory) => {
                let file = tracee.duplicate(memory.file)?;
                memory.write(tracee, &file, limit)
            }
            Kind::Copy(files) => {
                let from = tracee.duplicate(files.from)?;
                let to = tracee.duplicate(files.to)?;
                files.copy(tracee, &from, &to, limit)
            }
        };
        Ok(done.map(|count| count as u64))
    }
}

impl MemoryTransfer {
    fn read(&self, tracee: &Tracee, file: &OwnedFd, limit: usize) -> Result<usize, Errno> {
        let mut bytes = vec![0; limit];
        let count = match self.offset {
            Some(offset) => pread(file, &mut bytes[..], offset)?,
            None => read(file, &mut bytes[..])?,
        };
        let written = tracee.write(&self.buffers, &bytes[..count]);
        written.map_err(|_| Errno::FAULT)?;
        Ok(count)
    }

    fn write(&self, tracee: &Tracee, file: &OwnedFd, limit: usize) -> Result<usize, Errno> {
        let bytes = gather(tracee, &self.buffers, limit).map_err(|_| Errno::FAULT)?;
        match self.offset {
            Some(offset) => pwrite(file, &bytes, offset),
            None => write(file, &bytes),
        }
    }
}

impl FileTransfer {
    fn copy(
        &self,
        tracee: &Tracee,
        from: &OwnedFd,
        to: &OwnedFd,
        limit: usize,
    ) -> Result<usize, Errno> {
        let mut read_at = load(tracee, self.from_offset)?;
        let mut write_at = load(tracee, self.to_offset)?;
        let count = if self.is_sendfile {
            sendfile(to, from, read_at.as_mut(), limit)?
        } else {
            copy_file_range(from, read_at.as_mut(), to, write_at.as_mut(), limit)?
        };
        store(tracee, self.from_offset, read_at)?;
        store(tracee, self.to_offset, write_at)?;
        Ok(count)
    }
}

/// Gives the offset in the file at which a transfer starts.
fn start(tracee: &Tracee, memory: &MemoryTransfer) -> io::Result<u64> {
    match memory.offset {
        Some(offset) => Ok(offset),
        None => Ok(tracee.descriptor(memory.file)?.position),
    }
}

/// Gives the number of bytes of a regular file after this offset. Gives 0 for another file.
fn left(tracee: &Tracee, file: i32, offset: u64) -> io::Result<u64> {
    let metadata = tracee.metadata(file)?;
    match metadata.is_file() {
        true => Ok(metadata.len().saturating_sub(offset)),
        false => Ok(0),
    }
}

/// Reads the first `limit` bytes of these buffers.
fn gather(tracee: &Tracee, buffers: &[Range], limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (address, length) in buffers {
        let left = limit - bytes.len();
        let count = usize::try_from(*length).unwrap_or(left).min(left);
        bytes.extend(tracee.bytes(*address, count)?);
    }
    Ok(bytes)
}

/// Reads the offset at this address. Gives none if the address is 0.
fn load(tracee: &Tracee, address: u64) -> Result<Option<u64>, Errno> {
    match address {
        0 => Ok(None),
        address => tracee.long(address).map(Some).map_err(|_| Errno::FAULT),
    }
}

fn store(tracee: &Tracee, address: u64, offset: Option<u64>) -> Result<(), Errno> {
    let Some(offset) = offset else {
        return Ok(());
    };
    let stored = tracee.write(&[(address, 8)], &offset.to_ne_bytes());
    stored.map_err(|_| Errno::FAULT)
}
