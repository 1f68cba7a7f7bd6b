//! The folder of a run: in the system's folder for temporary files, with a folder for each slot in it.
//!
//! A run removes its folder, or keeps in it the cases that it was told to keep. When the runner is killed, its supervisors remove the folder; when it is
//! killed before it has any, the next run does: the folder holds a mark, which a run takes away at its end, and keeps locked until then. A lock tells more
//! than a process's number, which is another's in another container that shares the folder for temporary files.

use crate::os::directory::remove_directory;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;

const PREFIX: &str = "clarity-chaos-";

/// The mark of a run that has not come to its end.
const RUNNING: &str = "running";

/// How often a folder is made anew that another run took for a stale one, before it was marked.
const ATTEMPTS: usize = 16;

/// The folder of the run that this process is.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// Whether the folder is the user's from now on.
    is_kept: bool,
    /// Locked for as long as this process lives.
    #[expect(dead_code, reason = "its lock is what it is for")]
    mark: File,
}

impl RunDir {
    /// Makes the folder, and removes those of runs that were killed.
    pub(crate) fn create() -> io::Result<Self> {
        // The real path: what tests canonicalize must still be below their directory.
        let parent = std::env::temp_dir().canonicalize()?;
        remove_stale(&parent);
        let mut made = Self::in_folder(&parent);
        for _ in 1..ATTEMPTS {
            match &made {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    made = Self::in_folder(&parent);
                }
                _ => break,
            }
        }
        made
    }

    fn in_folder(parent: &Path) -> io::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", process::id()))
            .tempdir_in(parent)?;
        let path = dir.path().join(RUNNING);
        let mark = File::create_new(&path)?;
        lock(&mark)?;
        fs::metadata(&path)?; // gone, if somebody was faster with the lock
        Ok(Self {
            path: dir.keep(),
            is_kept: false,
            mark,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the run: removes the folder, or leaves it to the user. Gives its path, and what went wrong.
    pub(crate) fn end(mut self, keep: bool) -> (PathBuf, io::Result<()>) {
        let ended = if keep {
            self.is_kept = true;
            fs::remove_file(self.path.join(RUNNING))
        } else {
            remove(&self.path)
        };
        (self.path.clone(), ended)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // A run that could not go on. What cannot be removed now, the next one knows for stale by its mark.
        if !self.is_kept {
            let _ = remove(&self.path);
        }
    }
}

/// Removes the folder of a run, its mark last: whoever is killed while doing so leaves something that the next run still knows for stale.
pub(crate) fn remove(run: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(run) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name() != RUNNING {
            remove_directory(&entry.path())?;
        }
    }
    remove_directory(run)
}

#[cfg(unix)]
fn remove_stale(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            continue;
        }
        // What cannot be removed is another user's, or in somebody else's hands already.
        let _ = match File::options().write(true).open(entry.path().join(RUNNING)) {
            Ok(mark) if lock(&mark).is_ok() => remove(&entry.path()),
            Ok(_in_use) => Ok(()),
            Err(_) => fs::remove_dir(entry.path()), // refuses what is not empty: cases that were kept
        };
    }
}

/// Locks the mark, if nobody has.
#[cfg(unix)]
fn lock(mark: &File) -> io::Result<()> {
    use rustix::fs::{FlockOperation, flock};
    Ok(flock(mark, FlockOperation::NonBlockingLockExclusive)?)
}

/// Elsewhere nobody can tell which runs are over, so their folders stay.
#[cfg(not(unix))]
fn remove_stale(_parent: &Path) {}

#[cfg(not(unix))]
fn lock(_mark: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn folders(parent: &Path) -> usize {
        fs::read_dir(parent).unwrap().count()
    }

    /// Lets go of the lock without more ado, as the kernel does for a process that was killed.
    fn kill(mut run: RunDir) -> PathBuf {
        run.is_kept = true;
        run.path.clone()
    }

    #[test]
    fn only_what_nobody_holds_is_stale() {
        let parent = tempfile::tempdir().unwrap();
        let running = RunDir::in_folder(parent.path()).unwrap();
        let killed = RunDir::in_folder(parent.path()).unwrap();
        let (kept, other) = (kill(killed), parent.path().join("another's"));
        fs::create_dir(&other).unwrap();
        remove_stale(parent.path());
        assert!(running.path().exists());
        assert!(other.exists());
        assert!(!kept.exists());
    }

    #[test]
    fn a_removal_that_was_cut_short_is_completed_by_the_next_run() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::in_folder(parent.path()).unwrap();
        let (slot, path) = (run.path().join("1"), run.path().to_owned());
        fs::create_dir(&slot).unwrap();
        fs::create_dir(slot.join("work")).unwrap();
        // Something that cannot be removed stands for the end of the process in the midst of it.
        fs::write(path.join("2"), "no folder").unwrap();
        assert!(remove(&path).is_err());
        assert!(path.join(RUNNING).exists());
        fs::remove_file(path.join("2")).unwrap();
        kill(run);
        remove_stale(parent.path());
        assert_eq!(folders(parent.path()), 0);
    }

    #[test]
    fn a_run_that_cannot_go_on_leaves_nothing_or_what_the_next_one_knows_for_stale() {
        let parent = tempfile::tempdir().unwrap();
        drop(RunDir::in_folder(parent.path()).unwrap());
        assert_eq!(folders(parent.path()), 0);

        let run = RunDir::in_folder(parent.path()).unwrap();
        let obstacle = run.path().join("2");
        fs::write(&obstacle, "no folder").unwrap();
        drop(run);
        fs::remove_file(obstacle).unwrap();
        remove_stale(parent.path());
        assert_eq!(folders(parent.path()), 0);
    }

    #[test]
    fn what_was_kept_stays_until_it_is_empty() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::in_folder(parent.path()).unwrap();
        fs::create_dir(run.path().join("1")).unwrap();
        let (kept, ended) = run.end(true);
        ended.unwrap();
        remove_stale(parent.path());
        assert!(kept.exists());
        fs::remove_dir(kept.join("1")).unwrap();
        remove_stale(parent.path());
        assert_eq!(folders(parent.path()), 0);
    }
}
