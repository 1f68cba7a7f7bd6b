//! Sessions of processes.
#![expect(unsafe_code, reason = "rustix takes session 0 for impossible")]

use rustix::process::Pid;

/// Whether this process is in the session that `leader` leads.
pub(crate) fn in_session_of(leader: Pid) -> bool {
    // The session is 0 in a container whose session leader is outside, which rustix cannot express.
    // SAFETY: touches no memory.
    let session = unsafe { libc::getsid(0) };
    session == leader.as_raw_nonzero().get()
}
