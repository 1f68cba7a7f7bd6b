//! Removes the files of a run, except for the files of faults that are not undone.

use crate::data::case::WorkerDir;
use crate::journal;
use crate::os::directory::remove_directory;
use std::fs;
use std::io;
use std::path::Path;

/// The name of the lock file. A run removes this file when it ends.
pub(super) const LOCK_FILE: &str = "running";

/// Whether a fault of an unsandboxed worker is not undone.
pub(super) fn has_journal(worker: &WorkerDir) -> bool {
    worker.is_open()
        && worker
            .undo_dirs()
            .iter()
            .any(|undo| journal::has_journal(undo))
}

/// Removes the directory of a run. The lock file is removed last: until then, the next run still
/// recognises the directory as stale.
///
/// # Errors
///
/// When a worker has a fault that is not undone. The worker's directory remains.
pub(super) fn remove(run: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(run) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let unfinished: Vec<WorkerDir> = WorkerDir::all_in(run)
        .into_iter()
        .filter(has_journal)
        .collect();
    for entry in entries {
        let entry = entry?;
        let is_unfinished = |worker: &WorkerDir| worker.root() == entry.path();
        if entry.file_name() != LOCK_FILE && !unfinished.iter().any(is_unfinished) {
            remove_directory(&entry.path())?;
        }
    }
    match unfinished.first() {
        None => remove_directory(run),
        Some(worker) => Err(io::Error::other(format!(
            "a fault is not undone, so {} is kept",
            worker.root().display()
        ))),
    }
}
