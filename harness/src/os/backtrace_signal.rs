//! A signal that asks a thread of another process where in the code it is.
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

/// The signal that asks a thread where it is.
const WHERE: i32 = libc::SIGUSR2;

/// Asks a thread of `process` where it is; whether the signal was sent. The process answers, and exits, when the thread's call returns.
pub(crate) fn ask_where(process: Pid, thread: u32) -> bool {
    // SAFETY: touches no memory.
    let asked = unsafe {
        libc::syscall(
            libc::SYS_tgkill,
            process.as_raw_nonzero().get(),
            thread,
            WHERE,
        )
    };
    asked == 0
}

/// Where the handler answers to.
static ASKER: AtomicI32 = AtomicI32::new(-1);
/// How an answer begins.
static MARK: AtomicU32 = AtomicU32::new(0);
/// The most bytes of an answer.
static LONGEST: AtomicUsize = AtomicUsize::new(0);

/// Lets [`WHERE`] be answered with a backtrace.
///
/// The answer is sent to `channel`: `mark` and the backtrace, cut to `longest` bytes.
///
/// # Errors
///
/// When the system refuses the handler.
pub(crate) fn answer_where(channel: &UnixStream, mark: char, longest: usize) -> io::Result<()> {
    extern "C" fn answer(_signal: i32) {
        // The thread waits in a call, so it holds no lock of the allocator or of the standard library.
        let text = format!(
            "{}{}",
            char::from_u32(MARK.load(Ordering::Relaxed)).unwrap_or(' '),
            Backtrace::force_capture()
        );
        let bytes = text.as_bytes();
        // SAFETY: the text outlives the call; then the process is over.
        unsafe {
            libc::send(
                ASKER.load(Ordering::Relaxed),
                bytes.as_ptr().cast(),
                bytes.len().min(LONGEST.load(Ordering::Relaxed)),
                libc::MSG_NOSIGNAL,
            );
            libc::_exit(0);
        }
    }
    ASKER.store(channel.as_raw_fd(), Ordering::Relaxed);
    MARK.store(mark.into(), Ordering::Relaxed);
    LONGEST.store(longest, Ordering::Relaxed);
    let handler: extern "C" fn(i32) = answer;
    // SAFETY: zeros are a valid `sigaction` without flags and with an empty mask; the handler has the type of one without flags.
    let set = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        libc::sigaction(WHERE, &raw const action, std::ptr::null_mut())
    };
    match set {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
