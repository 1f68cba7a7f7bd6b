//! Receives and answers waiting system calls.
#![expect(unsafe_code, reason = "the ioctls of a listener")]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP` of `linux/seccomp.h`.
const SYNC_WAKE_UP: libc::c_ulong = 1;

/// The descriptor that reports the waiting system calls of threads with a filter.
#[derive(Debug)]
pub(crate) struct NotificationListener(OwnedFd);

/// A system call that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingCall {
    id: u64,
    /// The number of the thread that makes the call.
    pub(crate) thread: u32,
    pub(crate) number: i64,
    pub(crate) arguments: [u64; 6],
}

impl NotificationListener {
    pub(crate) fn new(listener: OwnedFd) -> Self {
        // The calling thread and the answering thread take turns. With this flag, both threads can
        // share a processor, and calls are faster. Linux before 6.6 refuses the flag.
        // SAFETY: the call touches no memory.
        let _ = unsafe {
            libc::ioctl(
                listener.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
                SYNC_WAKE_UP,
            )
        };
        Self(listener)
    }

    /// Gives the number of the listener's descriptor, which identifies the listener.
    pub(crate) fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Waits for the next system call. Returns `None` if the calling thread was killed, or if a
    /// signal interrupted this wait.
    pub(crate) fn next(&self) -> io::Result<Option<WaitingCall>> {
        // A newer kernel may write a longer struct than this program knows.
        let mut buffer = [0_u64; 64];
        let notification = buffer.as_mut_ptr().cast::<libc::seccomp_notif>();
        // SAFETY: the buffer is aligned like the struct, zero as the kernel requires, and longer
        // than the struct of any kernel.
        let received = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_RECV,
                notification,
            )
        };
        if received != 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::ENOENT | libc::EINTR) => Ok(None),
                _ => Err(error),
            };
        }
        // SAFETY: the kernel has filled in the struct, and any bits are a valid value.
        let notification = unsafe { notification.read() };
        Ok(Some(WaitingCall {
            id: notification.id,
            thread: notification.pid,
            number: i64::from(notification.data.nr),
            arguments: notification.data.args,
        }))
    }

    /// Whether the call still waits.
    ///
    /// If the call no longer waits, its thread is gone, and another thread may have the same
    /// number. In that case, discard all data that was read from the thread with this number.
    pub(crate) fn is_waiting(&self, call: &WaitingCall) -> bool {
        let id = call.id;
        // SAFETY: `id` outlives the call.
        let valid = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
                &raw const id,
            )
        };
        valid == 0
    }

    /// Lets the kernel execute the call.
    pub(crate) fn proceed(&self, call: &WaitingCall) -> io::Result<()> {
        // The response's field for this flag has 32 bits, so the cast loses nothing.
        self.answer(call, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32)
    }

    /// Lets the call fail with the error `errno`. The kernel does not execute the call.
    pub(crate) fn fail(&self, call: &WaitingCall, errno: i32) -> io::Result<()> {
        self.answer(call, -errno, 0, 0)
    }

    /// Lets the call return `value`. The kernel does not execute the call.
    pub(crate) fn pretend(&self, call: &WaitingCall, value: i64) -> io::Result<()> {
        self.answer(call, 0, value, 0)
    }

    fn answer(&self, call: &WaitingCall, error: i32, val: i64, flags: u32) -> io::Result<()> {
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
            // The thread was killed.
            Some(libc::ENOENT) => Ok(()),
            _ => Err(error),
        }
    }
}

impl AsFd for NotificationListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
