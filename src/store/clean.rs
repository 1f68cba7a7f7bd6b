//! Removes the leftovers of killed processes.

use std::fs;
use std::io;

use super::Store;
use super::quarantine::MARKER_SUFFIX;
use super::staging::{DirectoryLock, PURPOSES, lock_directory};
use crate::ModelName;

impl Store {
    /// Removes the leftovers of killed publications, removals and quarantines. Returns the number
    /// of removed leftovers.
    ///
    /// Keeps staging directories that are in use, and those that cannot be locked. Systems other
    /// than Unix and some network file systems have no locks.
    ///
    /// # Errors
    ///
    /// When the directory of the store is unreadable. An entry that cannot be removed stays,
    /// without an error.
    pub fn clean(&self) -> io::Result<usize> {
        let mut removed = self.clear_staging()?.len();
        for model in self.models()?.entries {
            // An unreadable model must not prevent the cleaning of the other models.
            removed += self.clean_markers(&model).unwrap_or(0);
        }
        Ok(removed)
    }

    /// Removes the staging directories of killed processes, and returns their names. Keeps the
    /// same directories as [`clean`](Self::clean), and all quarantine markers.
    ///
    /// # Errors
    ///
    /// When the directory of the store is unreadable.
    pub(crate) fn clear_staging(&self) -> io::Result<Vec<String>> {
        let mut removed = Vec::new();
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
            if let Ok(DirectoryLock::Held(_locked)) = lock_directory(&entry.path())
                && fs::remove_dir_all(entry.path()).is_ok()
            {
                removed.push(name.into_owned());
            }
        }
        removed.sort();
        Ok(removed)
    }

    /// Removes the quarantine markers of versions that no longer exist.
    // If a process is killed while it removes a version, the version's marker can remain. Without
    // this cleaning, the marker would quarantine a later version with the same number.
    fn clean_markers(&self, model: &ModelName) -> io::Result<usize> {
        let mut removed = 0;
        for entry in fs::read_dir(self.model_directory(model))? {
            let name = entry?.file_name();
            let version = name
                .to_str()
                .and_then(|name| name.strip_suffix(MARKER_SUFFIX));
            let Some(version) = version.and_then(|version| version.parse().ok()) else {
                continue;
            };
            let directory = fs::symlink_metadata(self.version_directory(model, version));
            if directory.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                removed += usize::from(self.release(model, version)?);
            }
        }
        Ok(removed)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;
    use crate::Version;
    use crate::store::staging::StagingDir;

    #[test]
    fn clean_removes_leftovers_and_keeps_entries_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let in_use = StagingDir::create(dir.path(), "publish").unwrap();
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
        // These markers belong to versions that do not exist.
        for number in [1, 2] {
            let marker =
                store.marker_path(&"model".parse().unwrap(), Version::new(number).unwrap());
            fs::write(marker, "{}").unwrap();
        }
        assert_eq!(store.clean().unwrap(), 5);
        assert!(in_use.path().exists());
        assert!(dir.path().join(".other-1-4").exists());
        assert!(dir.path().join(".mark-1-5").exists());
        assert_eq!(store.clean().unwrap(), 0);
    }

    /// Cleans in a loop while staging directories are created. So `Store::clean` can run between
    /// the creation and the locking of a staging directory.
    #[test]
    fn staging_dir_survives_a_concurrent_clean() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    // An entry can vanish during a clean. This test ignores the resulting error.
                    let _ = store.clean();
                }
            });
            let found: Vec<bool> = (0..2000)
                .map(|_| {
                    StagingDir::create(dir.path(), "mark").is_ok_and(|made| made.path().exists())
                })
                .collect();
            ended.store(true, Ordering::Relaxed);
            assert!(found.into_iter().all(|found| found));
        });
    }
}
