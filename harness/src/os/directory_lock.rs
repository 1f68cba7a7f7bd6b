//! Locks on directories. A lock ends with the processes that hold it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The interval at which a wait tries to lock again.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The lock of a directory. Forked children share the lock, and executed programs do not.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    #[expect(dead_code, reason = "the open directory holds the lock")]
    directory: File,
}

/// Locks a directory together with other processes that share the lock.
///
/// # Errors
///
/// When the directory does not exist, or a process holds an exclusive lock.
pub(crate) fn lock_shared(directory: &Path) -> io::Result<DirectoryLock> {
    let directory = open(directory)?;
    lock(&directory, LockKind::Shared)?;
    Ok(DirectoryLock { directory })
}

/// Locks a directory exclusively. Waits up to `limit` for the processes that hold a lock. Returns
/// `None` if such a process is left.
///
/// # Errors
///
/// When the directory does not exist, or cannot be locked at all.
pub(crate) fn lock_exclusive(path: &Path, limit: Duration) -> io::Result<Option<DirectoryLock>> {
    let deadline = Instant::now() + limit;
    let directory = open(path)?;
    loop {
        match lock(&directory, LockKind::Exclusive) {
            Ok(()) => return Ok(Some(DirectoryLock { directory })),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_busy) if Instant::now() >= deadline => return Ok(None),
            Err(_busy) => thread::sleep(POLL_INTERVAL),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LockKind {
    Shared,
    Exclusive,
}

#[cfg(unix)]
fn open(directory: &Path) -> io::Result<File> {
    File::open(directory)
}

#[cfg(unix)]
fn lock(directory: &File, kind: LockKind) -> io::Result<()> {
    use rustix::fs::{FlockOperation, flock};
    let operation = match kind {
        LockKind::Shared => FlockOperation::NonBlockingLockShared,
        LockKind::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    Ok(flock(directory, operation)?)
}

// Windows opens no directory as a file. There, no run looks for the files of another run.
#[cfg(not(unix))]
fn open(directory: &Path) -> io::Result<File> {
    File::open(directory.join("output"))
}

#[cfg(not(unix))]
fn lock(_directory: &File, _kind: LockKind) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn exclusive_lock_waits_for_shared_locks() {
        let dir = tempfile::tempdir().unwrap();
        let shared = [lock_shared(dir.path()), lock_shared(dir.path())];
        let exclusive = || lock_exclusive(dir.path(), Duration::ZERO).unwrap();
        assert!(exclusive().is_none());
        drop(shared);
        let held = exclusive();
        assert!(held.is_some() && exclusive().is_none());
        assert!(lock_shared(dir.path()).is_err());
    }
}
