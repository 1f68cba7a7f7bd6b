//! Runs the action of an undo step.

use super::condition::{
    FileIdentity, NEW_IN_ITS_PLACE, UndoCondition, WRITTEN_SINCE, symlink_metadata,
};
use super::damage::bytes;
use super::error::UndoError;
use super::handler::UndoHandler;
use super::step::{UndoAction, UndoStep};
use crate::os::rename::rename_to_new_path;
use clarity_chaos_record::UndoOutcome;
use std::fs::{self, File, FileTimes};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::SystemTime;

fn superseded(found: impl Into<String>) -> Result<UndoOutcome, UndoError> {
    let found = found.into();
    Ok(UndoOutcome::Superseded { found })
}

impl UndoStep {
    /// Runs the step's action. The step applies.
    pub(super) fn run(&self) -> Result<UndoOutcome, UndoError> {
        match &self.action {
            UndoAction::Restore { path, .. } => self.write_back(path),
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

    fn write_back(&self, path: &Path) -> Result<UndoOutcome, UndoError> {
        let UndoAction::Restore {
            offset,
            content,
            replaced,
            modified,
            ..
        } = &self.action
        else {
            return Ok(UndoOutcome::Restored);
        };
        let bytes = bytes(content)?;
        let mut file = match File::options().write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return superseded("no file"),
            opened => opened.map_err(UndoError::file("open for writing", path))?,
        };
        let found = FileIdentity::of(&file).map_err(UndoError::file("look at", path))?;
        if !self.is_expected(path, &found) {
            return superseded(WRITTEN_SINCE);
        }
        file.seek(SeekFrom::Start(*offset))
            .and_then(|_| file.write_all(&bytes))
            .map_err(UndoError::file("write", path))?;
        if (bytes.len() as u64) < *replaced {
            file.set_len(offset + bytes.len() as u64)
                .map_err(UndoError::file("cut", path))?;
        }
        set_modified(&file, *modified).map_err(UndoError::file("set the times of", path))?;
        Ok(UndoOutcome::Restored)
    }

    /// Whether the opened file is still the one that the check found: it can have been replaced.
    fn is_expected(&self, path: &Path, found: &FileIdentity) -> bool {
        match (&self.condition, &self.file) {
            (_, Some(file)) if self.begun => file.is_same_file(found),
            (Some(UndoCondition::Unchanged { path: of, identity }), _) if of == path => {
                identity == found
            }
            _ => true,
        }
    }
}

fn set_modified(file: &File, modified: Option<SystemTime>) -> io::Result<()> {
    match modified {
        Some(modified) => file.set_times(FileTimes::new().set_modified(modified)),
        None => Ok(()),
    }
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
    if symlink_metadata(from)?.is_none() {
        return match symlink_metadata(to)?.is_some() {
            // The fault has not moved it yet, or this step has run before.
            true => Ok(UndoOutcome::Restored),
            false => Err(UndoError::file("find", from)(
                io::ErrorKind::NotFound.into(),
            )),
        };
    }
    match rename_to_new_path(from, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => superseded(NEW_IN_ITS_PLACE),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            superseded("the directory that it stood in is gone")
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
