//! What signals do to a process, which it has from its caller: a signal that is ignored stays so in what a process executes.
#![expect(unsafe_code, reason = "signal and sigaction have no safe form")]

use std::mem::MaybeUninit;
use std::ptr;

/// Those that ask a process to end.
const REQUESTS: [libc::c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Lets this process wait for its children: some servers leave theirs with an ignored `SIGCHLD`, and then nobody can be waited for.
pub(crate) fn expect_children() {
    restore(libc::SIGCHLD);
}

/// Lets this process be asked to end, whatever its caller did not want to hear.
pub(crate) fn expect_requests() {
    REQUESTS.into_iter().for_each(restore);
}

fn restore(signal: libc::c_int) {
    if is_ignored(signal) {
        // SAFETY: the default action is no code of ours, and nobody handles this signal.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Whether this process ignores this signal.
pub(crate) fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the second pointer may be null, the third is to memory of the right size and type, and all zeros are a valid value of that.
    unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
