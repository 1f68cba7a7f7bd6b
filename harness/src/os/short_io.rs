//! Reads and writes that do less than they were asked for, as the system may at any time.
#![expect(
    unsafe_code,
    reason = "descriptors that the calls of other threads name"
)]

use crate::os::listener::Waiting;
use rustix::fd::BorrowedFd;
use rustix::fs::{copy_file_range, sendfile};
use rustix::io::{pread, pwrite, read, write};
use std::io;
use std::path::Path;

/// Does the call of a thread of this process for it with no more than `most` bytes, and gives what it is to return; none if it asks for no
/// more, is made by another process, or is none of `read`, `pread64`, `write`, `pwrite64`, and `copy_file_range` and `sendfile` from and to where the files stand.
pub(crate) fn shortened(waiting: &Waiting, most: u64) -> Option<i64> {
    let [file, address, third, at, fifth, _] = waiting.arguments;
    let length = match waiting.number {
        libc::SYS_copy_file_range => fifth,
        libc::SYS_sendfile => at,
        _ => third,
    };
    let is_ours = Path::new("/proc/self/task")
        .join(waiting.thread.to_string())
        .exists();
    if !is_ours || length <= most {
        return None;
    }
    let most = usize::try_from(most).ok()?;
    // SAFETY: a descriptor of this process, which the thread that waits is using. If another one closes it meanwhile, the thread would have
    // met the same.
    let file = unsafe { BorrowedFd::borrow_raw(i32::try_from(file).ok()?) };
    let done = match waiting.number {
        libc::SYS_read => fetch(address, most, |bytes| Ok(read(file, bytes)?)),
        libc::SYS_pread64 => fetch(address, most, |bytes| Ok(pread(file, bytes, at)?)),
        libc::SYS_write => store(address, most, |bytes| Ok(write(file, bytes)?)),
        libc::SYS_pwrite64 => store(address, most, |bytes| Ok(pwrite(file, bytes, at)?)),
        libc::SYS_copy_file_range if address == 0 && at == 0 => {
            // SAFETY: as above.
            let to = unsafe { BorrowedFd::borrow_raw(i32::try_from(third).ok()?) };
            copy_file_range(file, None, to, None, most).map_err(Into::into)
        }
        libc::SYS_sendfile if third == 0 => {
            // SAFETY: as above.
            let from = unsafe { BorrowedFd::borrow_raw(i32::try_from(address).ok()?) };
            sendfile(file, from, None, most).map_err(Into::into)
        }
        _ => return None,
    };
    // What fails here fails for the thread, too, with its own error.
    i64::try_from(done.ok()?).ok()
}

fn fetch(
    address: u64,
    most: usize,
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut bytes = vec![0; most];
    let count = read(&mut bytes)?;
    let (local, remote) = both(&mut bytes[..count], address)?;
    // SAFETY: the bytes outlive the call, and the place is where the thread wants them. An address that is none is an error.
    let copied =
        unsafe { libc::process_vm_writev(own(), &raw const local, 1, &raw const remote, 1, 0) };
    whole(copied, count)
}

fn store(
    address: u64,
    most: usize,
    write: impl FnOnce(&[u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut bytes = vec![0; most];
    let (local, remote) = both(&mut bytes, address)?;
    // SAFETY: the bytes outlive the call, which fills them and nothing else.
    let copied =
        unsafe { libc::process_vm_readv(own(), &raw const local, 1, &raw const remote, 1, 0) };
    whole(copied, most)?;
    write(&bytes)
}

/// Bytes here, and the place of as many where the thread has its own.
fn both(bytes: &mut [u8], address: u64) -> io::Result<(libc::iovec, libc::iovec)> {
    let there = usize::try_from(address).map_err(io::Error::other)?;
    let vector = |iov_base| libc::iovec {
        iov_base,
        iov_len: bytes.len(),
    };
    let remote = vector(std::ptr::without_provenance_mut(there));
    let local = vector(std::ptr::null_mut());
    let iov_base = bytes.as_mut_ptr().cast();
    Ok((libc::iovec { iov_base, ..local }, remote))
}

fn own() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// All that was to be copied, or the error.
fn whole(copied: isize, wanted: usize) -> io::Result<usize> {
    match usize::try_from(copied) {
        Ok(copied) if copied == wanted => Ok(copied),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}
