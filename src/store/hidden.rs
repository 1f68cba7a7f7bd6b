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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::Version;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    #[test]
    fn a_name_that_is_taken_is_passed_over_and_any_other_trouble_told() {
        let dir = tempfile::tempdir().unwrap();
        let first = Hidden::create(dir.path(), "mark").unwrap();
        let name = first.path().file_name().unwrap().to_str().unwrap();
        let (before, number) = name.rsplit_once('-').unwrap();
        let number: u64 = number.parse().unwrap();
        for taken in number + 1..number + 1000 {
            fs::create_dir(dir.path().join(format!("{before}-{taken}"))).unwrap();
        }
        let second = Hidden::create(dir.path(), "mark").unwrap();
        assert!(second.path().exists());
        let error = Hidden::create(&dir.path().join("nowhere"), "mark").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_was_left_behind_is_removed_and_counted_and_what_is_in_use_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let in_use = Hidden::create(dir.path(), "publish").unwrap();
        for left in [
            ".mark-1-1",
            ".publish-1-2",
            ".remove-1-3",
            ".other-1-4",
            "model",
        ] {
            fs::create_dir(dir.path().join(left)).unwrap();
        }
        fs::write(dir.path().join(".mark-1-5"), "a file").unwrap();
        // Markers of versions that are not there.
        for number in [1, 2] {
            let marker = store.marker(&"model".parse().unwrap(), Version::new(number).unwrap());
            fs::write(marker, "{}").unwrap();
        }
        assert_eq!(store.clean().unwrap(), 5);
        assert!(in_use.path().exists());
        assert!(dir.path().join(".other-1-4").exists());
        assert!(dir.path().join(".mark-1-5").exists());
        assert_eq!(store.clean().unwrap(), 0);
    }

    /// Somebody cleans up all the time, also between a folder's making and its lock.
    #[test]
    fn a_folder_that_is_given_out_is_there_however_many_clean_up() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    // A folder that goes away meanwhile is no trouble of this test.
                    let _ = store.clean();
                }
            });
            let found: Vec<bool> = (0..2000)
                .map(|_| Hidden::create(dir.path(), "mark").is_ok_and(|made| made.path().exists()))
                .collect();
            ended.store(true, Ordering::Relaxed);
            assert!(found.into_iter().all(|found| found));
        });
    }
}
