//! What signals do to a process, which it has from its caller.
#![expect(unsafe_code, reason = "signal has no safe form")]

/// Lets this process wait for its children. A signal that is ignored stays so in what a process executes, some servers leave theirs with an ignored
/// `SIGCHLD`, and then nobody can be waited for.
pub(crate) fn expect_children() {
    // SAFETY: the default action is no code of ours, and nobody has begun to handle this signal.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}
