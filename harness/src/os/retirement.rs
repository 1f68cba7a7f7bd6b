//! A process that has done its work and is about to exit.
#![expect(unsafe_code, reason = "close_range and signal masks have no safe form")]

use crate::os::fork::has_other_threads;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;

/// Blocks all signals, and closes all descriptors except `kept`. Returns whether nothing but the
/// calling thread can act in this process any more. Call this function only if the process exits
/// next.
///
/// Returns false if the process has other threads, or its descriptors cannot be closed.
// A file lock of this process ends with its descriptors, before others learn that it is done.
pub(crate) fn retire(kept: BorrowedFd<'_>) -> bool {
    if block_signals().is_err() || has_other_threads() {
        return false;
    }
    let kept = kept.as_raw_fd().cast_unsigned();
    let below = kept.checked_sub(1).is_none_or(|last| close(0, last));
    below && close(kept + 1, libc::c_uint::MAX)
}

/// Closes the descriptors from `first` to `last`. Returns whether the system could.
fn close(first: libc::c_uint, last: libc::c_uint) -> bool {
    // SAFETY: the process uses no descriptor except `kept` before it exits.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) == 0 }
}

fn block_signals() -> io::Result<()> {
    let mut all = MaybeUninit::uninit();
    // SAFETY: `sigfillset` initializes the set, and both pointers are valid for the calls.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_BLOCK, all.as_ptr(), ptr::null_mut())
    };
    match blocked {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::fork::in_process_with_one_thread;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;
    use std::thread;

    #[test]
    fn only_the_kept_descriptor_stays_open() {
        assert!(in_process_with_one_thread(|| {
            let (kept, other) = UnixStream::pair().unwrap();
            let is_alone = retire(kept.as_fd());
            let is_open = rustix::io::fcntl_getfd(&kept).is_ok();
            let is_closed = rustix::io::fcntl_getfd(&other).is_err();
            // Their descriptors are closed already.
            std::mem::forget((kept, other));
            is_alone && is_open && is_closed
        }));
    }

    #[test]
    fn process_with_another_thread_stays_active() {
        assert!(in_process_with_one_thread(|| {
            let (kept, other) = UnixStream::pair().unwrap();
            thread::spawn(|| {
                loop {
                    thread::park();
                }
            });
            !retire(kept.as_fd()) && rustix::io::fcntl_getfd(&other).is_ok()
        }));
    }
}
