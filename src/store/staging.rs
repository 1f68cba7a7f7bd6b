//! Directories where nobody looks, for what is not there yet or not there any more.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the names of such directories begin with, by what they are for.
pub(super) const PURPOSES: [&str; 3] = ["mark", "publish", "remove"];

/// A hidden directory of the store, removed with all that is in it when dropped, and locked for as long as it is in use: a
/// lock ends with its process however that ends, so a directory that is not locked is one that was left behind.
#[derive(Debug)]
pub(super) struct StagingDir {
    path: PathBuf,
    /// The lock. Kept until after the removal, by the order in which things are dropped.
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
            // Whoever cleans up may have been faster than the lock; then the directory is gone, or about to be.
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
        // Gone already when it was published; and a hidden directory left behind harms nobody.
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
        // A file system without locks, such as some network ones: then nobody else has one either.
        Err(fs::TryLockError::Error(_)) => Ok(DirectoryLock::Unsupported),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_is_passed_over_and_any_other_trouble_told() {
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
