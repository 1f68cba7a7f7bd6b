//! The parts that create and read processes.
#![expect(unsafe_code, reason = "fork")]

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};
use std::fs;
use std::hint::black_box;
use std::io;

/// Forks a process that ends at once, waits for its end, and reaps it.
pub(super) fn fork_and_wait() -> io::Result<()> {
    // SAFETY: the child makes one call, which takes no lock and so is safe after a fork, even when
    // other threads of this process hold locks.
    let forked = unsafe { libc::fork() };
    match forked {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: ends the process without running any of its code.
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

/// Reads the status of every visible process.
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

/// The number of processes that a sweep reads.
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
