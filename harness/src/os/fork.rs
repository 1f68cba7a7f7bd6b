//! A copy of this process.
#![expect(unsafe_code, reason = "fork has no safe form")]

use rustix::process::Pid;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

/// Forks: gives the child's number to this process, and none to the child.
///
/// # Errors
///
/// When this process has more than one thread (a copy would lack the others, and the locks that they hold stayed locked), or the
/// system has no room for another process.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    if has_other_threads() {
        return Err(io::Error::other(
            "this binary starts threads before `main`, and a process with threads cannot be forked",
        ));
    }
    // SAFETY: there is one thread, this one, so no lock is held by a thread that the child lacks.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        child => Pid::from_raw(child)
            .map(Some)
            .ok_or_else(|| io::Error::other("fork gave no number")),
    }
}

/// Whether this process has threads other than the calling one; if nobody can tell, it has.
pub(crate) fn has_other_threads() -> bool {
    // Whoever has none may leave its threads, which changes nothing (unshare(2)), and asks less of the system than to look into `/proc`.
    // SAFETY: without other threads the call does nothing, and with them it fails.
    if unsafe { libc::unshare(libc::CLONE_THREAD) } == 0 {
        return false;
    }
    // A folder has a link for each folder in it, and two of its own.
    fs::metadata("/proc/self/task").map_or(true, |tasks| tasks.nlink() != 3)
}
