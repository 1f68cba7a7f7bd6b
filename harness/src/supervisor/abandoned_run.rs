//! Ends a run whose runner has died: undoes the faults that are still in effect, and removes the
//! files.
//!
//! A supervisor that loses its runner does this for its own worker. If the supervisor has died too,
//! the next run does this for the whole run. Each worker's directory is locked by the worker's
//! supervisor and test. So nobody undoes the faults of a test that is still running.

use crate::data::case::WorkerDir;
use crate::journal::{self, Recovery, UndoneBy};
use crate::os::directory::remove_directory;
use crate::os::directory_lock::{DirectoryLock, lock_exclusive};
use crate::os::ownership::is_only_ours;
use crate::supervisor::fixture::remains;
use crate::supervisor::run_files::{self, has_journal};
use std::fs;
use std::io;
#[cfg(unix)]
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The longest wait until the processes of a killed run have ended. Their supervisor waits for the
/// grace period of the test.
#[cfg(unix)]
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// The longest wait without a message.
#[cfg(unix)]
const QUIET_LIMIT: Duration = Duration::from_secs(1);

/// The longest wait for a removal that another supervisor of the same run disturbs.
const REMOVAL_LIMIT: Duration = Duration::from_secs(10);

/// Undoes the faults of a supervisor's own worker, and removes the worker's files. Then does the
/// same for other workers of the run that have ended, and removes the run's directory if no worker
/// is left. Call this function in a supervisor whose runner has died.
pub(super) fn end_worker(run: &Path, own: &WorkerDir) -> Recovery {
    end_workers(run, UndoneBy::Supervisor, |worker| {
        let limit = match worker == own {
            true => REMOVAL_LIMIT,
            false => Duration::ZERO,
        };
        lock_exclusive(worker.root(), limit)
    })
}

/// Undoes the faults of a stale run, and removes its directory. Waits for the supervisors of the
/// run that still end their tests.
#[cfg(unix)]
pub(super) fn end(run: &Path) -> Recovery {
    let deadline = Instant::now() + LIMIT;
    end_workers(run, UndoneBy::LaterRun, |worker| {
        if !worker.is_open() {
            return lock_exclusive(worker.root(), Duration::ZERO);
        }
        if let Some(lock) = lock_exclusive(worker.root(), QUIET_LIMIT)? {
            return Ok(Some(lock));
        }
        let directory = worker.root().display();
        // Standard error can be closed.
        let _ = writeln!(
            io::stderr(),
            "warning: waiting for a killed run to end its test and undo its faults: {directory}"
        );
        let left = deadline.saturating_duration_since(Instant::now());
        lock_exclusive(worker.root(), left)
    })
}

/// Tries once more to undo the faults of a run that has ended, and has kept the directories of
/// cases. Removes nothing.
#[cfg(unix)]
pub(super) fn undo_kept(run: &Path) -> Recovery {
    let mut recovery = Recovery::default();
    for worker in WorkerDir::all_in(run).into_iter().filter(has_journal) {
        match lock_exclusive(worker.root(), Duration::ZERO) {
            Ok(Some(_lock)) => recovery.add(undo(run, &worker, UndoneBy::LaterRun)),
            Ok(None) => recovery.kept.push(still_running(&worker)),
            Err(error) => recovery.kept.push(error.to_string()),
        }
    }
    recovery
}

/// Undoes the faults of the workers that `lock` can lock, and removes their files.
fn end_workers(
    run: &Path,
    by: UndoneBy,
    lock: impl Fn(&WorkerDir) -> io::Result<Option<DirectoryLock>>,
) -> Recovery {
    let mut recovery = Recovery::default();
    let mut is_left = false;
    for worker in WorkerDir::all_in(run) {
        let mut locked = Ok(None);
        if worker.is_setup() {
            if by == UndoneBy::Supervisor {
                // The next run ends the set-up, and reports it.
                is_left = true;
                continue;
            }
            // The processes of the fixture have the lock until they have ended. Processes that
            // have not ended in time are killed.
            locked = lock(&worker);
            recovery
                .setups
                .extend(remains::end(run, &worker, "the runner"));
        }
        if matches!(locked, Ok(None)) {
            locked = lock(&worker);
        }
        match locked {
            Ok(Some(_lock)) => {
                recovery.add(undo(run, &worker, by));
                is_left |= has_journal(&worker) || !remove_worker(worker.root(), by);
            }
            // The worker's supervisor ends the worker.
            Ok(None) if by == UndoneBy::Supervisor => is_left = true,
            Ok(None) => {
                is_left = true;
                if has_journal(&worker) {
                    recovery.kept.push(still_running(&worker));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                is_left = true;
                recovery
                    .kept
                    .push(format!("{}: {error}", worker.root().display()));
            }
        }
    }
    if !is_left {
        // An error is ignored: what remains is stale, and the next run removes it.
        let _ = run_files::remove(run);
    }
    recovery
}

/// Undoes the faults of an unsandboxed worker. The worker's journals are trusted, except for those
/// that another user could have written.
pub(super) fn undo(run: &Path, worker: &WorkerDir, by: UndoneBy) -> Recovery {
    let mut recovery = Recovery::default();
    if !worker.is_open() {
        return recovery;
    }
    for undo in worker.undo_dirs() {
        if !journal::has_journal(&undo) {
            continue;
        }
        match is_trusted(run, &undo) {
            Err(error) if by == UndoneBy::LaterRun => recovery.kept.push(format!(
                "the journals in {} are not trusted: {error}",
                undo.display()
            )),
            _ => recovery.add(journal::recover(&undo, by)),
        }
    }
    recovery
}

/// Checks that no other user can have written the journals in `undo`.
fn is_trusted(run: &Path, undo: &Path) -> io::Result<()> {
    is_only_ours(run, undo)?;
    for fault in fs::read_dir(undo)? {
        is_only_ours(run, &fault?.path())?;
    }
    Ok(())
}

fn still_running(worker: &WorkerDir) -> String {
    format!(
        "processes of the killed run are still running; the journals are kept in {}",
        worker.root().display()
    )
}

/// Removes a worker's directory. Returns whether the directory is gone. Right after the end of a
/// test, killed processes and other supervisors can still change the directory. A supervisor
/// therefore tries for a while.
fn remove_worker(directory: &Path, by: UndoneBy) -> bool {
    let deadline = Instant::now() + REMOVAL_LIMIT;
    while remove_directory(directory).is_err() {
        if by == UndoneBy::LaterRun || Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
    true
}
