//! The directory of a run, in the system's temporary directory. A run's directory contains one
//! directory for each worker.
//!
//! A run that ends removes its directory, except for the directories of the cases that
//! `--keep-dirs` selects. If the runner is killed, its supervisors undo the faults of their tests,
//! and remove the directory. If they are killed too, the directory becomes *stale*. The next run
//! then undoes the faults, and removes the directory.
//!
//! A directory with a fault that is not undone is never removed. Each later run tries to undo the
//! fault, or names it.
//!
//! A directory is stale if its lock file exists but is not locked. A run holds the lock until its
//! end, and then removes the lock file.
//
// A lock shows whether a run is still running. A process ID could not show this: containers that
// share a temporary directory do not share process IDs.

use crate::journal::Recovery;
#[cfg(unix)]
use crate::os::directory_lock::lock_exclusive;
use crate::os::temporary_directory::with_temporary_directory;
#[cfg(unix)]
use crate::supervisor::abandoned_run;
use crate::supervisor::run_files::{LOCK_FILE, remove};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

// A longer prefix would leave less room for the paths of Unix sockets: see `WorkerDir`.
const PREFIX: &str = "clarity-chaos-";

/// The largest number of attempts to create a run's directory. Before this run takes the lock,
/// another run can remove the new directory as stale.
const ATTEMPTS: usize = 16;

/// The directory of this process's run.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// Whether the directory remains after the run, because it contains kept cases.
    is_kept: bool,
    /// The lock file, locked until this value is dropped.
    #[expect(dead_code, reason = "the open file holds the lock")]
    lock_file: File,
}

impl RunDir {
    /// Undoes the faults of killed runs, and removes their directories. Then creates the run's
    /// directory.
    ///
    /// # Errors
    ///
    /// When the directory cannot be created. The error names the system's directory for temporary
    /// files, and its variable.
    pub(crate) fn create() -> io::Result<(Self, Recovery)> {
        Self::create_in_temporary_directory().map_err(with_temporary_directory)
    }

    fn create_in_temporary_directory() -> io::Result<(Self, Recovery)> {
        // A test may canonicalize a path in the run's directory. The result is below the path of
        // that directory only if `parent` is canonical.
        let parent = std::env::temp_dir().canonicalize()?;
        let recovery = remove_stale(&parent);
        let mut created = Self::create_in(&parent);
        for _ in 1..ATTEMPTS {
            match &created {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    created = Self::create_in(&parent);
                }
                _ => break,
            }
        }
        Ok((created?, recovery))
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let path = dir.path().join(LOCK_FILE);
        let lock_file = File::create_new(&path)?;
        lock(&lock_file)?;
        // Fails if another run locked the file first, and removed the directory as stale.
        fs::metadata(&path)?;
        Ok(Self {
            path: dir.keep(),
            is_kept: false,
            lock_file,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the run. Removes the directory, or only the lock file if `keep` is set. Returns the
    /// directory's path and the result of the removal.
    pub(crate) fn end(mut self, keep: bool) -> (PathBuf, io::Result<()>) {
        let ended = if keep {
            self.is_kept = true;
            fs::remove_file(self.path.join(LOCK_FILE))
        } else {
            remove(&self.path)
        };
        (self.path.clone(), ended)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // A run that failed has not called `end`. If this removal fails, the next run removes the
        // directory as stale.
        if !self.is_kept {
            let _ = remove(&self.path);
        }
    }
}

/// Undoes the faults of killed runs, and removes their directories.
#[cfg(unix)]
fn remove_stale(parent: &Path) -> Recovery {
    let mut recovery = Recovery::default();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            recovery.add(remove_if_stale(&entry.path()));
        }
    }
    recovery
}

/// Undoes the faults of a run that is over, and removes its directory if it is stale.
#[cfg(unix)]
fn remove_if_stale(run: &Path) -> Recovery {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    // Another user's run belongs to the next run of that user.
    let is_ours = |found: fs::Metadata| found.is_dir() && found.uid() == user;
    if !fs::symlink_metadata(run).is_ok_and(is_ours) {
        return Recovery::default();
    }
    // Another run can find the directory stale at the same time. This run waits: its tests must not
    // begin while faults are still in effect.
    let Ok(Some(_lock)) = lock_exclusive(run, abandoned_run::LIMIT) else {
        return Recovery::default();
    };
    match File::options().write(true).open(run.join(LOCK_FILE)) {
        Ok(lock_file) if lock(&lock_file).is_ok() => abandoned_run::end(run),
        Ok(_in_use) => Recovery::default(),
        // The directory has no lock file. If it contains kept cases, it is not empty, and this
        // removal fails.
        Err(_) if fs::remove_dir(run).is_ok() => Recovery::default(),
        Err(_) => abandoned_run::undo_kept(run),
    }
}

/// Locks the file. Returns an error if another process holds the lock.
#[cfg(unix)]
fn lock(file: &File) -> io::Result<()> {
    use rustix::fs::{FlockOperation, flock};
    Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)
}

/// Removes nothing: without `flock`, a stale directory cannot be recognised.
#[cfg(not(unix))]
fn remove_stale(_parent: &Path) -> Recovery {
    Recovery::default()
}

#[cfg(not(unix))]
fn lock(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn count_entries(parent: &Path) -> usize {
        fs::read_dir(parent).unwrap().count()
    }

    /// Simulates a kill of the run's process: releases the lock, and leaves the directory.
    fn kill(mut run: RunDir) -> PathBuf {
        run.is_kept = true;
        run.path.clone()
    }

    #[test]
    fn remove_stale_keeps_locked_and_foreign_directories() {
        let parent = tempfile::tempdir().unwrap();
        let running = RunDir::create_in(parent.path()).unwrap();
        let killed = RunDir::create_in(parent.path()).unwrap();
        let (kept, other) = (kill(killed), parent.path().join("another's"));
        fs::create_dir(&other).unwrap();
        remove_stale(parent.path());
        assert!(running.path().exists());
        assert!(other.exists());
        assert!(!kept.exists());
    }

    #[test]
    fn remove_stale_completes_an_interrupted_removal() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create_in(parent.path()).unwrap();
        let (worker, path) = (run.path().join("1"), run.path().to_owned());
        fs::create_dir(&worker).unwrap();
        fs::create_dir(worker.join("work")).unwrap();
        // A file in place of a worker's directory makes the removal fail halfway.
        fs::write(path.join("2"), "no directory").unwrap();
        assert!(remove(&path).is_err());
        assert!(path.join(LOCK_FILE).exists());
        fs::remove_file(path.join("2")).unwrap();
        kill(run);
        remove_stale(parent.path());
        assert_eq!(count_entries(parent.path()), 0);
    }

    #[test]
    fn drop_removes_the_directory_or_leaves_it_stale() {
        let parent = tempfile::tempdir().unwrap();
        drop(RunDir::create_in(parent.path()).unwrap());
        assert_eq!(count_entries(parent.path()), 0);

        let run = RunDir::create_in(parent.path()).unwrap();
        let obstacle = run.path().join("2");
        fs::write(&obstacle, "no directory").unwrap();
        drop(run);
        fs::remove_file(obstacle).unwrap();
        remove_stale(parent.path());
        assert_eq!(count_entries(parent.path()), 0);
    }

    #[test]
    fn remove_stale_keeps_kept_cases_until_they_are_gone() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create_in(parent.path()).unwrap();
        fs::create_dir(run.path().join("1")).unwrap();
        let (kept, ended) = run.end(true);
        ended.unwrap();
        remove_stale(parent.path());
        assert!(kept.exists());
        fs::remove_dir(kept.join("1")).unwrap();
        remove_stale(parent.path());
        assert_eq!(count_entries(parent.path()), 0);
    }
}
