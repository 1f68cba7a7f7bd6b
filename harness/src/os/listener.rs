//! The calls that wait for an answer.
#![expect(unsafe_code, reason = "the ioctls of a listener")]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP` of `linux/seccomp.h`.
const SYNC_WAKE_UP: libc::c_ulong = 1;

/// Where the calls of a filtered process arrive.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

/// A call that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    id: u64,
    /// The thread that calls.
    pub(crate) thread: u32,
    pub(crate) number: i64,
    pub(crate) arguments: [u64; 6],
}

impl Listener {
    pub(crate) fn new(listener: OwnedFd) -> Self {
        // Who calls and who answers take turns, so neither needs a processor of its own. Linux knows of it since 6.6.
        // SAFETY: touches no memory.
        let _ = unsafe {
            libc::ioctl(
                listener.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
                SYNC_WAKE_UP,
            )
        };
        Self(listener)
    }

    /// Its own number, by which it is told from others.
    pub(crate) fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// The next call that waits; none if its thread has been killed meanwhile.
    pub(crate) fn next(&self) -> io::Result<Option<Waiting>> {
        // Newer kernels may know more of a call than this program, and write as much as they know.
        let mut room = [0_u64; 64];
        let place = room.as_mut_ptr().cast::<libc::seccomp_notif>();
        // SAFETY: the room is aligned as the struct is, zero as the kernel wants it, and longer than the struct of any kernel.
        let received =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, place) };
        if received != 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::ENOENT | libc::EINTR) => Ok(None),
                _ => Err(error),
            };
        }
        // SAFETY: the kernel has filled it in, and any bits are a valid one.
        let notification = unsafe { place.read() };
        Ok(Some(Waiting {
            id: notification.id,
            thread: notification.pid,
            number: i64::from(notification.data.nr),
            arguments: notification.data.args,
        }))
    }

    /// Whether the call still waits: if not, its thread is gone, and its number may be another's, with all that was read of it.
    pub(crate) fn waits(&self, call: &Waiting) -> bool {
        let id = call.id;
        // SAFETY: the number outlives the call.
        let valid = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
                &raw const id,
            )
        };
        valid == 0
    }

    /// Lets the kernel do it.
    pub(crate) fn proceed(&self, call: &Waiting) -> io::Result<()> {
        // The constant is for a field of 32 bits.
        self.answer(call, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32)
    }

    /// It is not done, and gives this error.
    pub(crate) fn fail(&self, call: &Waiting, errno: i32) -> io::Result<()> {
        self.answer(call, -errno, 0, 0)
    }

    /// It is not done, and gives this value all the same.
    pub(crate) fn pretend(&self, call: &Waiting, value: i64) -> io::Result<()> {
        self.answer(call, 0, value, 0)
    }

    fn answer(&self, call: &Waiting, error: i32, val: i64, flags: u32) -> io::Result<()> {
        let mut response = libc::seccomp_notif_resp {
            id: call.id,
            val,
            error,
            flags,
        };
        // SAFETY: the response outlives the call.
        let sent = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SEND,
                &raw mut response,
            )
        };
        if sent == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            // Its thread was killed.
            Some(libc::ENOENT) => Ok(()),
            _ => Err(error),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
