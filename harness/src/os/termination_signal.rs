//! Tells this process of its `SIGTERM`, and changes nothing for its children.
//!
//! A forked child inherits the handler of its parent. A handler that a library chains behind others
//! could not end the child: another handler of the child may be meant to answer the signal. So this
//! handler is a plain one. It knows whether the system calls it directly, or another handler does.
#![expect(
    unsafe_code,
    reason = "sigaction and handlers of signals have no safe form"
)]

use rustix::net::{SendFlags, send};
use rustix::process::getpid;
use signal_hook::low_level::emulate_default_handler;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

// Apple's systems have no flag against `SIGPIPE`. Rust's runtime ignores this signal anyway.
#[cfg(target_vendor = "apple")]
const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT;
#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// The process whose termination signal is reported; 0 for none.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// The descriptor that gets a byte for each signal.
static SENDER: AtomicI32 = AtomicI32::new(-1);
/// The handler before this one, or `SIG_DFL` or `SIG_IGN`.
static PREVIOUS: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);
/// The flags of the handler before this one.
static PREVIOUS_FLAGS: AtomicI32 = AtomicI32::new(0);

/// The handler of this process for `SIGTERM`. Uninstalled on drop.
#[derive(Debug)]
pub(crate) struct TerminationSignal {
    sender: UnixStream,
    previous: PreviousAction,
}

/// The action that a process takes on a signal.
#[derive(Clone, Copy)]
struct PreviousAction(libc::sigaction);

impl std::fmt::Debug for PreviousAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PreviousAction")
            .field(&self.0.sa_sigaction)
            .finish()
    }
}

impl TerminationSignal {
    /// Sends a byte to `sender` for each `SIGTERM` that this process gets. A handler that was
    /// installed before is still called. A forked child behaves as without this handler.
    ///
    /// Install one handler at a time.
    ///
    /// # Errors
    ///
    /// When the system refuses the handler.
    pub(crate) fn install(sender: UnixStream) -> io::Result<Self> {
        let previous = current()?;
        PREVIOUS.store(previous.sa_sigaction, Ordering::Relaxed);
        PREVIOUS_FLAGS.store(previous.sa_flags, Ordering::Relaxed);
        SENDER.store(sender.as_raw_fd(), Ordering::Relaxed);
        OWNER.store(getpid().as_raw_nonzero().get(), Ordering::Release);
        // SAFETY: all zeros are a valid `sigaction`, with an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = address();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        set(&action)?;
        Ok(Self {
            sender,
            previous: PreviousAction(previous),
        })
    }
}

impl Drop for TerminationSignal {
    fn drop(&mut self) {
        OWNER.store(0, Ordering::Release);
        debug_assert_eq!(SENDER.load(Ordering::Relaxed), self.sender.as_raw_fd());
        // A handler that was installed later may call this one, which then does nothing.
        if current().is_ok_and(|action| action.sa_sigaction == address()) {
            let _ = set(&self.previous.0);
        }
    }
}

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

fn address() -> usize {
    let handler: Handler = handle;
    handler as usize
}

extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let is_owner = getpid().as_raw_nonzero().get() == OWNER.load(Ordering::Acquire);
    if is_owner {
        // SAFETY: the descriptor is open while this process is the owner.
        let sender = unsafe { BorrowedFd::borrow_raw(SENDER.load(Ordering::Relaxed)) };
        // A full buffer has a byte that was not read yet.
        let _ = send(sender, &[0], SEND_FLAGS);
    }
    match PREVIOUS.load(Ordering::Relaxed) {
        libc::SIG_IGN => {}
        // Another handler that calls this one answers the signal itself.
        libc::SIG_DFL => {
            if !is_owner && current().is_ok_and(|action| action.sa_sigaction == address()) {
                let _ = emulate_default_handler(signal);
            }
        }
        previous if PREVIOUS_FLAGS.load(Ordering::Relaxed) & libc::SA_SIGINFO != 0 => {
            // SAFETY: the address is that of a handler with this flag, which has this type.
            let previous: Handler = unsafe { std::mem::transmute(previous) };
            previous(signal, info, context);
        }
        previous => {
            // SAFETY: the address is that of a handler without the flag, which has this type.
            let previous: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(previous) };
            previous(signal);
        }
    }
}

/// Gives the action of this process.
fn current() -> io::Result<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the second argument may be null. The third one points to memory of the right type.
    // All zeros are a valid value of this type.
    unsafe {
        match libc::sigaction(libc::SIGTERM, ptr::null(), action.as_mut_ptr()) {
            0 => Ok(action.assume_init()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn set(action: &libc::sigaction) -> io::Result<()> {
    // SAFETY: the action is valid, and its handler makes async-signal-safe calls only.
    match unsafe { libc::sigaction(libc::SIGTERM, action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
