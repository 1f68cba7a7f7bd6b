//! Folders where nobody looks, for what is not there yet or not there any more.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Store;

/// What the names of such folders begin with, by what they are for.
const PURPOSES: [&str; 3] = ["mark", "publish", "remove"];

/// A hidden folder of the store, removed with all that is in it when dropped, and locked for as long as it is in use: a
/// lock ends with its process however that ends, so a folder that is not locked is one that was left behind.
#[derive(Debug)]
pub(super) struct Hidden {
    path: PathBuf,
    /// The lock. Kept until after the removal, by the order in which things are dropped.
    _locked: Option<File>,
}

impl Hidden {
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
            // Whoever cleans up may have been faster than the lock; then the folder is gone, or about to be.
            match lock(&path) {
                Ok(Lock::Held(locked)) if path.exists() => {
                    return Ok(Self {
                        path,
                        _locked: Some(locked),
                    });
                }
                Ok(Lock::Unsupported) => {
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

impl Drop for Hidden {
    fn drop(&mut self) {
        // Gone already when it was published; and a hidden folder left behind harms nobody.
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Store {
    /// Removes what publications, removals and quarantines that were killed have left behind, and nothing that is in use;
    /// tells how many folders and markers there were.
    ///
    /// Where folders cannot be locked (elsewhere than on Unix) nothing is removed.
    ///
    /// # Errors
    ///
    /// When the folder of the store cannot be read. What cannot be removed is left.
    pub fn clean(&self) -> io::Result<usize> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_ours = PURPOSES.iter().any(|purpose| {
                let rest = name
                    .strip_prefix('.')
                    .and_then(|name| name.strip_prefix(purpose));
                rest.is_some_and(|rest| rest.starts_with('-'))
            });
            if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if let Ok(Lock::Held(_locked)) = lock(&entry.path()) {
                removed += usize::from(fs::remove_dir_all(entry.path()).is_ok());
            }
        }
        for model in self.models()?.entries {
            // One that cannot be read is no reason to leave the others.
            removed += self.clean_markers(&model).unwrap_or(0);
        }
        Ok(removed)
    }
}

enum Lock {
    Held(File),
    InUse,
    Unsupported,
}

fn lock(folder: &Path) -> io::Result<Lock> {
    if !cfg!(unix) {
        return Ok(Lock::Unsupported);
    }
    let folder = File::open(folder)?;
    match folder.try_lock() {
        Ok(()) => Ok(Lock::Held(folder)),
        Err(fs::TryLockError::WouldBlock) => Ok(Lock::InUse),
        // A file system without locks, such as some network ones: then nobody else has one either.
        Err(fs::TryLockError::Error(_)) => Ok(Lock::Unsupported),
    }
}
