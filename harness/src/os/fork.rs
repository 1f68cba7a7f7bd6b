//! A copy of this process.
#![expect(unsafe_code, reason = "fork has no safe form")]

use rustix::process::{Pid, getpid};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::thread;
use std::time::{Duration, Instant};

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

/// Forks a process that may have other threads: the main one, which waits for this one, and those that `is_harmless` says of their names. The child
/// has none of them.
///
/// # Errors
///
/// [`io::ErrorKind::ResourceBusy`] when there are others.
pub(crate) fn fork_beside(is_harmless: impl Fn(&str) -> bool) -> io::Result<Option<Pid>> {
    refuse_threads(is_harmless)?;
    // SAFETY: of the other threads none holds a lock that the child will want: they are known, and wait. The C library hands its own over.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        child => Pid::from_raw(child)
            .map(Some)
            .ok_or_else(|| io::Error::other("fork gave no number")),
    }
}

/// Ends this process without the handlers that `exit` calls.
pub(crate) fn exit_at_once(code: i32) -> ! {
    // SAFETY: touches no memory.
    unsafe { libc::_exit(code) }
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

/// How long a thread that was waited for may take to be gone.
const ENDING: Duration = Duration::from_millis(100);

/// Threads that a fork lacks, and whose locks it may need.
fn refuse_threads(is_harmless: impl Fn(&str) -> bool) -> io::Result<()> {
    // One that has been waited for can still be on its way out.
    let deadline = Instant::now() + ENDING;
    loop {
        let others = other_threads(&is_harmless)?;
        if others.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!(
                    "an exploration forks the test's process, which needs its threads to have ended, or not to have begun: {}",
                    others.join(", ")
                ),
            ));
        }
        thread::yield_now();
    }
}

/// The names of the threads beside this one, the main one, which waits for the test's, and those that are harmless.
fn other_threads(is_harmless: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
    let (own, main) = (rustix::thread::gettid(), getpid());
    let mut others = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        let number = task.file_name().to_string_lossy().parse().ok();
        let Some(number) = number.and_then(Pid::from_raw) else {
            continue;
        };
        // It has ended since if it has no name.
        let Ok(name) = fs::read_to_string(task.path().join("comm")) else {
            continue;
        };
        let name = name.trim_end();
        if number != own && number != main && !is_harmless(name) {
            others.push(format!("`{name}`"));
        }
    }
    Ok(others)
}
