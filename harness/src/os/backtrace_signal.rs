//! A signal that requests a backtrace from a thread of another process.
#![expect(
    unsafe_code,
    reason = "tgkill and the handler of a signal have no safe form"
)]

use rustix::process::Pid;
use std::backtrace::Backtrace;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

const BACKTRACE_SIGNAL: i32 = libc::SIGUSR2;

/// Requests a backtrace from a thread of `process`. Returns true if the signal was sent.
///
/// When the thread's current system call returns, the process sends the backtrace and exits. A
/// process without the handler dies.
pub(crate) fn request_backtrace(process: Pid, thread: u32) -> bool {
    // SAFETY: the call touches no memory.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, BACKTRACE_SIGNAL) };
    sent == 0
}

/// The socket to which the handler sends the answer.
static CHANNEL: AtomicI32 = AtomicI32::new(-1);
/// The first character of an answer.
static MARK: AtomicU32 = AtomicU32::new(0);
/// The maximum length of an answer, in bytes.
static MAX_LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Installs the handler that answers [`BACKTRACE_SIGNAL`].
///
/// The handler sends `mark`, followed by the backtrace, to `channel`. This message is cut to
/// `max_length` bytes. Then the process exits.
///
/// # Errors
///
/// When the system refuses the handler.
pub(crate) fn install_backtrace_handler(
    channel: &UnixStream,
    mark: char,
    max_length: usize,
) -> io::Result<()> {
    extern "C" fn answer(_signal: i32) {
        // The thread waits in a system call, so it holds no lock of the allocator or of the
        // standard library.
        let text = format!(
            "{}{}",
            char::from_u32(MARK.load(Ordering::Relaxed)).unwrap_or(' '),
            Backtrace::force_capture()
        );
        let bytes = text.as_bytes();
        // SAFETY: the text outlives the call; then the process ends.
        unsafe {
            libc::send(
                CHANNEL.load(Ordering::Relaxed),
                bytes.as_ptr().cast(),
                bytes.len().min(MAX_LENGTH.load(Ordering::Relaxed)),
                libc::MSG_NOSIGNAL,
            );
            libc::_exit(0);
        }
    }
    CHANNEL.store(channel.as_raw_fd(), Ordering::Relaxed);
    MARK.store(mark.into(), Ordering::Relaxed);
    MAX_LENGTH.store(max_length, Ordering::Relaxed);
    let handler: extern "C" fn(i32) = answer;
    // SAFETY: zeros are a valid `sigaction` without flags and with an empty mask. The handler has
    // the type of a handler without flags.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        libc::sigaction(BACKTRACE_SIGNAL, &raw const action, std::ptr::null_mut())
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
