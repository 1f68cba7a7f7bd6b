//! Restores the default actions of signals that this process ignores.
//!
//! A process inherits ignored signals from its parent, and passes them on to programs that it
//! executes.
#![expect(unsafe_code, reason = "signal and sigaction have no safe form")]

use std::mem::MaybeUninit;
use std::ptr;

/// The signals that ask a process to end.
const TERMINATION: [libc::c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Stops ignoring `SIGCHLD`, so that this process can wait for its children.
// Some programs start their children with `SIGCHLD` ignored.
pub(crate) fn restore_child_signal() {
    restore(libc::SIGCHLD);
}

/// Stops ignoring the signals that ask this process to end.
pub(crate) fn restore_termination_signals() {
    TERMINATION.into_iter().for_each(restore);
}

fn restore(signal: libc::c_int) {
    if is_ignored(signal) {
        // SAFETY: the default action runs no code of ours, and this signal has no handler.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Whether this process ignores this signal.
pub(crate) fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the second argument may be null. The third argument points to memory of the right
    // size and type. All zeros are a valid value of that type.
    unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
