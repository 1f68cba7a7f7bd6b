//! The part that forks a process, and the part that reads the status of all processes.
#![expect(unsafe_code, reason = "fork")]

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};
use std::fs;
use std::hint::black_box;
use std::io;

/// Forks a child that ends at once, waits for the child's end, and reaps the child.
pub(super) fn fork_and_wait() -> io::Result<()> {
    // SAFETY: the child makes one call, `_exit`, which takes no lock. The call is therefore safe
    // after a fork, even if other threads of this process hold locks.
    let forked = unsafe { libc::fork() };
    match forked {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: `_exit` ends the child without running any further code of the child.
        0 => unsafe { libc::_exit(0) },
        child => {
            let child = Pid::from_raw(child)
                .ok_or_else(|| io::Error::other("fork returned no process number"))?;
            let pidfd = pidfd_open(child, PidfdFlags::empty())?;
            poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None)?;
            waitpid(Some(child), WaitOptions::empty())?;
            Ok(())
        }
    }
}

/// Reads `/proc/PID/stat` of every visible process.
pub(super) fn scan() -> io::Result<()> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name();
        if name
            .as_encoded_bytes()
            .first()
            .is_some_and(u8::is_ascii_digit)
        {
            black_box(fs::read(entry.path().join("stat")).ok()); // the process may have ended
        }
    }
    Ok(())
}

/// Returns the number of processes whose status `scan` reads.
pub(crate) fn count() -> usize {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            entry
                .file_name()
                .as_encoded_bytes()
                .first()
                .is_some_and(u8::is_ascii_digit)
        })
        .count()
}
