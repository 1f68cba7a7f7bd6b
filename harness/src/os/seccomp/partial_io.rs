//! Shortens reads and writes. The system, too, may shorten any read or write.
#![expect(unsafe_code, reason = "borrows descriptors of other threads")]

use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::process_memory;
use rustix::fd::BorrowedFd;
use rustix::fs::{copy_file_range, sendfile};
use rustix::io::{pread, pwrite, read, write};
use rustix::process::getpid;
use std::io;
use std::path::Path;

/// Executes a waiting call of this process with at most `limit` bytes. Gives the call's return
/// value.
///
/// Supports `read`, `pread64`, `write` and `pwrite64`. Also supports `copy_file_range` and
/// `sendfile` without explicit offsets. Returns `None` for other calls, for calls of at most
/// `limit` bytes, for calls of other processes, and on failure.
pub(crate) fn execute_partially(waiting: &WaitingCall, limit: u64) -> Option<i64> {
    let [file, address, third, at, fifth, _] = waiting.arguments;
    let length = match waiting.number {
        libc::SYS_copy_file_range => fifth,
        libc::SYS_sendfile => at,
        _ => third,
    };
    let is_ours = Path::new("/proc/self/task")
        .join(waiting.thread.to_string())
        .exists();
    if !is_ours || length <= limit {
        return None;
    }
    let limit = usize::try_from(limit).ok()?;
    // SAFETY: the waiting thread uses this descriptor, which belongs to this process. Another
    // thread may close the descriptor now. The waiting call itself would run the same risk.
    let file = unsafe { BorrowedFd::borrow_raw(i32::try_from(file).ok()?) };
    let done = match waiting.number {
        libc::SYS_read => read_into(address, limit, |bytes| Ok(read(file, bytes)?)),
        libc::SYS_pread64 => read_into(address, limit, |bytes| Ok(pread(file, bytes, at)?)),
        libc::SYS_write => write_from(address, limit, |bytes| Ok(write(file, bytes)?)),
        libc::SYS_pwrite64 => write_from(address, limit, |bytes| Ok(pwrite(file, bytes, at)?)),
        libc::SYS_copy_file_range if address == 0 && at == 0 => {
            // SAFETY: as above.
            let to = unsafe { BorrowedFd::borrow_raw(i32::try_from(third).ok()?) };
            copy_file_range(file, None, to, None, limit).map_err(Into::into)
        }
        libc::SYS_sendfile if third == 0 => {
            // SAFETY: as above.
            let from = unsafe { BorrowedFd::borrow_raw(i32::try_from(address).ok()?) };
            sendfile(file, from, None, limit).map_err(Into::into)
        }
        _ => return None,
    };
    // If this function returns `None`, the caller lets the kernel execute the call, or lets the
    // call fail.
    i64::try_from(done.ok()?).ok()
}

/// Reads at most `limit` bytes with `read`, and copies them to the waiting thread's buffer at
/// `address`.
fn read_into(
    address: u64,
    limit: usize,
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut bytes = vec![0; limit];
    let count = read(&mut bytes)?;
    process_memory::write(getpid(), &[(address, count as u64)], &bytes[..count])?;
    Ok(count)
}

/// Copies `limit` bytes from the waiting thread's buffer at `address`, and writes them with
/// `write`.
fn write_from(
    address: u64,
    limit: usize,
    write: impl FnOnce(&[u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut bytes = vec![0; limit];
    process_memory::read(getpid(), address, &mut bytes)?;
    write(&bytes)
}
