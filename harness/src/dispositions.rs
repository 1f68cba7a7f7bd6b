//! What signals do to a process of ours, whatever its caller did with them.
//!
//! A signal that is ignored stays ignored in what a process executes. Servers and `nohup` leave their children with such; then nobody could wait for
//! a child (`SIGCHLD`), or ask a test to end (`SIGTERM`).
#![expect(unsafe_code, reason = "sigaction has no safe form")]

use std::mem::MaybeUninit;
use std::ptr;

/// The signals that have a number of their own on every system; what follows is for programs to define.
const STANDARD: std::ops::Range<libc::c_int> = 1..32;

/// Lets children be waited for.
pub(crate) fn expect_children() {
    restore(libc::SIGCHLD);
}

/// Lets all signals do what they do by default, but for those that somebody handles, and `SIGPIPE`, which Rust's runtime ignores on purpose.
pub(crate) fn restore_all() {
    STANDARD
        .filter(|signal| *signal != libc::SIGPIPE)
        .for_each(restore);
}

fn restore(signal: libc::c_int) {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the second pointer may be null, the third is to memory of the right size and type, and all zeros are a valid value of that.
    let ignored = unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    };
    if ignored {
        // SAFETY: the default action is no code of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}
