//! The folder of a run: in the system's folder for temporary files, with one folder for each case in it.
//!
//! A run removes its folder, or keeps in it the cases that it was told to keep. When the runner is killed, its supervisors remove the folder; when it is
//! killed before it has any, the next run does: a mark in the folder, which a run takes away at its end, tells it from one that was kept.

use crate::case;
use std::fs;
use std::io;
use std::path::Path;
use std::process;
use tempfile::TempDir;

const PREFIX: &str = "clarity-chaos-";

/// The mark of a run that has not come to its end.
const RUNNING: &str = "running";

/// Makes the folder, named after this process, and removes those of runs that were killed.
pub(crate) fn create() -> io::Result<TempDir> {
    // The real path: what tests canonicalize must still be below their directory.
    let parent = std::env::temp_dir().canonicalize()?;
    remove_stale(&parent);
    let dir = tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-", process::id()))
        .tempdir_in(parent)?;
    fs::write(dir.path().join(RUNNING), "")?;
    Ok(dir)
}

/// Leaves the folder to the user, at the end of its run.
pub(crate) fn keep(dir: &Path) -> io::Result<()> {
    fs::remove_file(dir.join(RUNNING))
}

fn remove_stale(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split('-').next())
            .and_then(|pid| pid.parse().ok());
        if !pid.is_some_and(is_gone) {
            continue;
        }
        // What cannot be removed is another user's, or in somebody else's hands already.
        let _ = if entry.path().join(RUNNING).exists() {
            case::remove(&entry.path())
        } else {
            fs::remove_dir(entry.path()) // refuses what is not empty: cases that were kept
        };
    }
}

/// Whether there is no such process; where that cannot be told, there may be.
fn is_gone(pid: u32) -> bool {
    Path::new("/proc/self").exists() && !Path::new(&format!("/proc/{pid}")).exists()
}
