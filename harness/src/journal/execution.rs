//! Runs undo steps.

use super::condition::{
    FileIdentity, NEW_IN_ITS_PLACE, UndoCondition, WRITTEN_SINCE, symlink_metadata,
};
use super::error::UndoError;
use super::handler::UndoHandler;
use super::step::{SavedContent, UndoAction, UndoStep};
use clarity_chaos_record::UndoOutcome;
use std::borrow::Cow;
use std::fs::{self, File, FileTimes};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::SystemTime;

/// The result of running a fault's steps.
#[derive(Debug)]
pub(super) struct Execution {
    pub(super) outcome: UndoOutcome,
    /// The failed step and the steps recorded before it. Empty if no step failed.
    pub(super) remaining: Vec<UndoStep>,
}

/// Runs the steps of a fault, the latest first, up to the first failure.
// A failure ends the run: the steps that were recorded earlier can depend on the failed step.
pub(super) fn run(mut steps: Vec<UndoStep>) -> Execution {
    // All conditions are checked before the first step runs: a step can change the state that
    // another step's condition describes.
    let violations: Vec<_> = steps
        .iter()
        .map(|step| step.condition.as_ref().map(UndoCondition::violation))
        .collect();
    let mut outcome = UndoOutcome::Restored;
    for violation in violations.into_iter().rev() {
        let Some(step) = steps.last() else { break };
        let done = match violation.transpose().map(Option::flatten) {
            Ok(Some(found)) => Ok(UndoOutcome::Superseded { found }),
            Ok(None) => step.run(),
            Err(error) => Err(error),
        };
        match done {
            Ok(UndoOutcome::Restored) => {}
            Ok(UndoOutcome::Failed { error }) => return failed(error, steps),
            // The first outcome other than `Restored` counts.
            Ok(other) if outcome == UndoOutcome::Restored => outcome = other,
            Ok(_) => {}
            Err(error) => return failed(error.to_string(), steps),
        }
        steps.pop();
    }
    Execution {
        outcome,
        remaining: steps,
    }
}

fn failed(error: String, remaining: Vec<UndoStep>) -> Execution {
    Execution {
        outcome: UndoOutcome::Failed { error },
        remaining,
    }
}

fn superseded(found: impl Into<String>) -> Result<UndoOutcome, UndoError> {
    let found = found.into();
    Ok(UndoOutcome::Superseded { found })
}

impl UndoStep {
    fn run(&self) -> Result<UndoOutcome, UndoError> {
        match &self.action {
            UndoAction::Restore {
                path,
                offset,
                content,
                replaced,
                modified,
            } => {
                let expected = match &self.condition {
                    Some(UndoCondition::Unchanged {
                        path: of, identity, ..
                    }) if of == path => Some(identity),
                    _ => None,
                };
                restore(path, *offset, content, *replaced, *modified, expected)
            }
            UndoAction::Remove { path } => remove(path),
            UndoAction::Rename { from, to } => rename(from, to),
            UndoAction::SetMode { path, mode } => {
                if_present(set_mode(path, *mode), "change the mode of", path)
            }
            UndoAction::SetOwner { path, uid, gid } => {
                if_present(set_owner(path, *uid, *gid), "change the owner of", path)
            }
            UndoAction::SetTimes {
                path,
                accessed,
                modified,
            } => if_present(
                set_times(path, *accessed, *modified),
                "set the times of",
                path,
            ),
            UndoAction::Custom { name, payload } => UndoHandler::find(name)?.run(payload),
        }
    }
}

fn restore(
    path: &Path,
    offset: u64,
    content: &SavedContent,
    replaced: u64,
    modified: Option<SystemTime>,
    expected: Option<&FileIdentity>,
) -> Result<UndoOutcome, UndoError> {
    let bytes = match content {
        SavedContent::Bytes(bytes) => Cow::Borrowed(bytes),
        SavedContent::File(saved) => {
            Cow::Owned(fs::read(saved).map_err(UndoError::file("read", saved))?)
        }
    };
    let mut file = match File::options().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return superseded("no file"),
        opened => opened.map_err(UndoError::file("open for writing", path))?,
    };
    // Checks the opened file again: the file at this path can have been replaced since the first
    // check.
    if let Some(expected) = expected {
        let found = FileIdentity::of(&file).map_err(UndoError::file("look at", path))?;
        if found != *expected {
            return superseded(WRITTEN_SINCE);
        }
    }
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.write_all(&bytes))
        .map_err(UndoError::file("write", path))?;
    if (bytes.len() as u64) < replaced {
        file.set_len(offset + bytes.len() as u64)
            .map_err(UndoError::file("cut", path))?;
    }
    if let Some(modified) = modified {
        file.set_times(FileTimes::new().set_modified(modified))
            .map_err(UndoError::file("set the times of", path))?;
    }
    Ok(UndoOutcome::Restored)
}

fn remove(path: &Path) -> Result<UndoOutcome, UndoError> {
    let removed = match symlink_metadata(path)? {
        None => return Ok(UndoOutcome::Restored),
        Some(found) if found.is_dir() => fs::remove_dir(path),
        Some(_) => fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            superseded("a directory that is not empty")
        }
        removed => {
            removed.map_err(UndoError::file("remove", path))?;
            Ok(UndoOutcome::Restored)
        }
    }
}

fn rename(from: &Path, to: &Path) -> Result<UndoOutcome, UndoError> {
    if symlink_metadata(to)?.is_some() {
        return superseded(NEW_IN_ITS_PLACE);
    }
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match symlink_metadata(from)?.is_some() {
                true => superseded("the directory that it stood in is gone"),
                false => superseded(format!("nothing at {}", from.display())),
            }
        }
        renamed => {
            renamed.map_err(UndoError::file("move back to", to))?;
            Ok(UndoOutcome::Restored)
        }
    }
}

/// Converts the result of a change to a path's attributes. The outcome is `Superseded` if the path
/// does not exist.
fn if_present(
    changed: io::Result<()>,
    action: &'static str,
    path: &Path,
) -> Result<UndoOutcome, UndoError> {
    match changed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => superseded("nothing in its place"),
        changed => {
            changed.map_err(UndoError::file(action, path))?;
            Ok(UndoOutcome::Restored)
        }
    }
}

fn set_times(
    path: &Path,
    accessed: Option<SystemTime>,
    modified: Option<SystemTime>,
) -> io::Result<()> {
    let mut times = FileTimes::new();
    if let Some(accessed) = accessed {
        times = times.set_accessed(accessed);
    }
    if let Some(modified) = modified {
        times = times.set_modified(modified);
    }
    // Windows needs a writable handle to set times. Unix can open a directory only for reading.
    let mut options = File::options();
    options.read(true).write(cfg!(windows));
    options.open(path)?.set_times(times)
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use super::condition::PERMISSIONS;
    use std::os::unix::fs::PermissionsExt as _;
    let others = fs::metadata(path)?.permissions().mode() & !PERMISSIONS;
    let mode = others | mode & PERMISSIONS;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(unix)]
fn set_owner(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    std::os::unix::fs::chown(path, Some(uid), Some(gid))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
fn set_owner(_path: &Path, _uid: u32, _gid: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
