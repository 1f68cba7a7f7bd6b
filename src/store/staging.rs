//! Hidden directories for entries that are not yet published, or that are being removed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The purposes of staging directories. The name of such a directory begins with a dot and a
/// purpose.
pub(super) const PURPOSES: [&str; 3] = ["mark", "publish", "remove"];

/// A hidden, locked directory of the store. Dropping this value removes the directory and its
/// content.
// The kernel releases a lock when the process that holds it ends, even if that process is killed.
// So an unlocked staging directory is a leftover.
#[derive(Debug)]
pub(super) struct StagingDir {
    path: PathBuf,
    /// The lock; `None` where locks are unsupported. Rust drops fields after `drop` has run, so the
    /// lock is released after the directory is removed.
    _locked: Option<File>,
}

impl StagingDir {
    pub(super) fn create(root: &Path, purpose: &str) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        debug_assert!(PURPOSES.contains(&purpose));
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = root.join(format!(".{purpose}-{}-{count}", std::process::id()));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created?,
            }
            // A concurrent `Store::clean` may take the lock first and remove the directory. Then
            // the loop creates another directory.
            match lock_directory(&path) {
                Ok(DirectoryLock::Held(locked)) if path.exists() => {
                    return Ok(Self {
                        path,
                        _locked: Some(locked),
                    });
                }
                Ok(DirectoryLock::Unsupported) => {
                    return Ok(Self {
                        path,
                        _locked: None,
                    });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for StagingDir {
    fn drop(&mut self) {
        // If the removal fails, the directory stays as a leftover, which `Store::clean` removes
        // later.
        let _ = fs::remove_dir_all(&self.path);
    }
}

pub(super) enum DirectoryLock {
    Held(File),
    InUse,
    Unsupported,
}

pub(super) fn lock_directory(directory: &Path) -> io::Result<DirectoryLock> {
    if !cfg!(unix) {
        return Ok(DirectoryLock::Unsupported);
    }
    let directory = File::open(directory)?;
    match directory.try_lock() {
        Ok(()) => Ok(DirectoryLock::Held(directory)),
        Err(fs::TryLockError::WouldBlock) => Ok(DirectoryLock::InUse),
        // Some network file systems have no locks. Then no other process holds a lock either.
        Err(fs::TryLockError::Error(_)) => Ok(DirectoryLock::Unsupported),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn staging_dir_skips_taken_names_and_reports_errors() {
        let dir = tempfile::tempdir().unwrap();
        let first = StagingDir::create(dir.path(), "mark").unwrap();
        let name = first.path().file_name().unwrap().to_str().unwrap();
        let (before, number) = name.rsplit_once('-').unwrap();
        let number: u64 = number.parse().unwrap();
        for taken in number + 1..number + 1000 {
            fs::create_dir(dir.path().join(format!("{before}-{taken}"))).unwrap();
        }
        let second = StagingDir::create(dir.path(), "mark").unwrap();
        assert!(second.path().exists());
        let error = StagingDir::create(&dir.path().join("nowhere"), "mark").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
