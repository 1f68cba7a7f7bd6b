//! Forking this process.
#![expect(unsafe_code, reason = "fork has no safe form")]

use rustix::process::{Pid, getpid};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::thread;
use std::time::{Duration, Instant};

/// Forks this process. Gives the child's process number to the parent, and none to the child.
///
/// # Errors
///
/// When this process has more than one thread, or the system refuses another process. A child would
/// lack the other threads, and locks that those threads hold would stay locked.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    if has_other_threads() {
        return Err(io::Error::other(
            "cannot fork a process with threads: this binary starts threads before `main`",
        ));
    }
    // SAFETY: this is the only thread, so no other thread holds a lock that the child needs.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        child => Pid::from_raw(child)
            .map(Some)
            .ok_or_else(|| io::Error::other("fork gave no process number")),
    }
}

/// Forks this process, whose other threads must be harmless. The main thread is harmless, since it
/// waits for this thread. A thread is also harmless if `is_harmless` accepts its name. The child
/// has none of these threads.
///
/// # Errors
///
/// [`io::ErrorKind::ResourceBusy`] when there are threads that are not harmless.
pub(crate) fn fork_with_threads(is_harmless: impl Fn(&str) -> bool) -> io::Result<Option<Pid>> {
    refuse_threads(is_harmless)?;
    // SAFETY: no other thread holds a lock that the child needs: all other threads are known, and
    // wait. The C library keeps its own locks usable in the child.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        child => Pid::from_raw(child)
            .map(Some)
            .ok_or_else(|| io::Error::other("fork gave no process number")),
    }
}

/// Ends this process without the handlers that `exit` calls.
pub(crate) fn exit_immediately(code: i32) -> ! {
    // SAFETY: touches no memory.
    unsafe { libc::_exit(code) }
}

/// Whether this process has threads besides the calling one. True if `/proc` cannot be read.
pub(crate) fn has_other_threads() -> bool {
    // In a process with one thread, this call succeeds and changes nothing (unshare(2)). The call
    // is cheaper than reading `/proc`.
    // SAFETY: without other threads the call does nothing, and with them it fails.
    if unsafe { libc::unshare(libc::CLONE_THREAD) } == 0 {
        return false;
    }
    // The link count of a directory is the number of its subdirectories plus two.
    fs::metadata("/proc/self/task").map_or(true, |tasks| tasks.nlink() != 3)
}

/// The time that a joined thread may take to disappear.
const EXIT_TIMEOUT: Duration = Duration::from_millis(100);

/// Returns an error if this process has other threads that are not harmless. A forked child may
/// need locks that those threads hold.
fn refuse_threads(is_harmless: impl Fn(&str) -> bool) -> io::Result<()> {
    // A joined thread can still exist for a short time.
    let deadline = Instant::now() + EXIT_TIMEOUT;
    loop {
        let others = other_threads(&is_harmless)?;
        if others.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!(
                    "cannot fork the test's process for an exploration while these threads run: \
                     {}; end them first, or start them inside of the operation",
                    others.join(", ")
                ),
            ));
        }
        thread::yield_now();
    }
}

/// Gives the names of the other threads, except for the main thread and harmless threads.
fn other_threads(is_harmless: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
    let (own, main) = (rustix::thread::gettid(), getpid());
    let mut others = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        let number = task.file_name().to_string_lossy().parse().ok();
        let Some(number) = number.and_then(Pid::from_raw) else {
            continue;
        };
        // If the name cannot be read, the thread has ended.
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
