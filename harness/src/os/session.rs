//! The session of this process.
#![expect(unsafe_code, reason = "rustix cannot express session 0")]

use rustix::process::Pid;

/// Whether this process is in the session that `leader` leads.
pub(crate) fn in_session_of(leader: Pid) -> bool {
    // The session's number is 0 if its leader is outside of the container. rustix cannot express 0.
    // SAFETY: the call touches no memory.
    let session = unsafe { libc::getsid(0) };
    session == leader.as_raw_nonzero().get()
}
