//! An undo step, as data.

use super::condition::{UndoCondition, make_absolute};
use super::error::UndoError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// One step that undoes a part of a fault, as data.
///
/// Steps run in the reverse order of their recording, in the test's process or, after it was
/// killed, in the runner's. The conditions of all steps of a fault are checked before the first one
/// runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UndoStep {
    /// The action.
    pub action: UndoAction,
    /// The condition under which the action applies; `None` means always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<UndoCondition>,
}

/// The action of an [`UndoStep`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UndoAction {
    /// Writes bytes over a part of a file, in place, and cuts the file after them where they are
    /// fewer. A file that is gone is not created again.
    #[non_exhaustive]
    Restore {
        /// The file. Symlinks are followed.
        path: PathBuf,
        /// The place of the first byte, from 0.
        offset: u64,
        /// The bytes to write.
        content: SavedContent,
        /// The number of bytes that stand at this place instead: the end of the file, where it is
        /// not the length of `content`.
        replaced: u64,
        /// The time of modification that the file gets; `None` leaves the time of the write.
        modified: Option<SystemTime>,
    },
    /// Removes a file, a symlink or an empty directory.
    #[non_exhaustive]
    Remove {
        /// The path, which the fault has created.
        path: PathBuf,
    },
    /// Moves a file or directory back, within one file system. Nothing is overwritten.
    #[non_exhaustive]
    Rename {
        /// The present path.
        from: PathBuf,
        /// The path before the fault.
        to: PathBuf,
    },
    /// Sets the permissions of a file or directory. On Unix alone.
    #[non_exhaustive]
    SetMode {
        /// The file or directory. Symlinks are followed.
        path: PathBuf,
        /// The lowest nine bits of the mode, 0 to 0o777.
        mode: u32,
    },
    /// Sets the user and group of a file or directory. On Unix alone.
    #[non_exhaustive]
    SetOwner {
        /// The file or directory. Symlinks are followed.
        path: PathBuf,
        /// The number of the user.
        uid: u32,
        /// The number of the group.
        gid: u32,
    },
    /// Sets the times of a file or directory.
    #[non_exhaustive]
    SetTimes {
        /// The file or directory. Symlinks are followed.
        path: PathBuf,
        /// The time of the last access; `None` leaves it.
        accessed: Option<SystemTime>,
        /// The time of modification; `None` leaves it.
        modified: Option<SystemTime>,
    },
    /// Calls an [undo handler](crate::undo_handler) of this binary.
    #[non_exhaustive]
    Custom {
        /// The name of the handler.
        name: String,
        /// The handler's argument.
        payload: Value,
    },
}

/// The bytes of [`UndoAction::Restore`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SavedContent {
    /// The bytes themselves. A journal moves them into a file when it is written.
    Bytes(Vec<u8>),
    /// A file that has the bytes, in the scratch directory of the fault.
    File(PathBuf),
}

impl UndoStep {
    /// A step that always applies.
    #[must_use]
    pub fn new(action: UndoAction) -> Self {
        Self {
            action,
            condition: None,
        }
    }

    /// Restores the content and the time of modification that the file at `path` has now.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn restore(path: impl Into<PathBuf>) -> Result<Self, UndoError> {
        let path = path.into();
        let metadata = fs::metadata(&path).map_err(UndoError::file("look at", &path))?;
        let content = fs::read(&path).map_err(UndoError::file("read", &path))?;
        Ok(Self::new(UndoAction::Restore {
            path,
            offset: 0,
            content: SavedContent::Bytes(content),
            // The whole file, however long it is then.
            replaced: u64::MAX,
            modified: metadata.modified().ok(),
        }))
    }

    /// Writes `content` over the file at `path`, from the byte `offset` on, in the place of
    /// `replaced` bytes, and sets the time of modification.
    ///
    /// Where `replaced` is not the length of `content`, these bytes are the end of the file.
    #[must_use]
    pub fn restore_bytes(
        path: impl Into<PathBuf>,
        offset: u64,
        content: Vec<u8>,
        replaced: u64,
        modified: SystemTime,
    ) -> Self {
        Self::new(UndoAction::Restore {
            path: path.into(),
            offset,
            content: SavedContent::Bytes(content),
            replaced,
            modified: Some(modified),
        })
    }

    /// Removes the file, symlink or empty directory that the fault is about to create at `path`.
    /// Nothing may be there yet.
    #[must_use]
    pub fn remove(path: impl Into<PathBuf>) -> Self {
        Self::new(UndoAction::Remove { path: path.into() })
    }

    /// Moves the file or directory that the fault is about to move to `from` back to `to`.
    #[must_use]
    pub fn rename(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Self {
        Self::new(UndoAction::Rename {
            from: from.into(),
            to: to.into(),
        })
    }

    /// Sets the permissions: the lowest nine bits of `mode`.
    #[must_use]
    pub fn set_mode(path: impl Into<PathBuf>, mode: u32) -> Self {
        Self::new(UndoAction::SetMode {
            path: path.into(),
            mode,
        })
    }

    /// Sets the user and the group, by their numbers.
    #[must_use]
    pub fn set_owner(path: impl Into<PathBuf>, uid: u32, gid: u32) -> Self {
        Self::new(UndoAction::SetOwner {
            path: path.into(),
            uid,
            gid,
        })
    }

    /// Sets the time of modification.
    #[must_use]
    pub fn set_modified(path: impl Into<PathBuf>, modified: SystemTime) -> Self {
        Self::new(UndoAction::SetTimes {
            path: path.into(),
            accessed: None,
            modified: Some(modified),
        })
    }

    /// Calls the [undo handler](crate::undo_handler) `name` with `payload`.
    ///
    /// # Errors
    ///
    /// When the payload has no form as JSON.
    pub fn custom(name: impl Into<String>, payload: impl Serialize) -> Result<Self, UndoError> {
        let name = name.into();
        match serde_json::to_value(payload) {
            Ok(payload) => Ok(Self::new(UndoAction::Custom { name, payload })),
            Err(error) => Err(UndoError::Payload { name, error }),
        }
    }

    /// Applies the step only where the condition holds.
    #[must_use]
    pub fn only_if(mut self, condition: UndoCondition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// The path that the step changes; `None` for a custom one.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.action {
            UndoAction::Restore { path, .. }
            | UndoAction::Remove { path }
            | UndoAction::Rename { to: path, .. }
            | UndoAction::SetMode { path, .. }
            | UndoAction::SetOwner { path, .. }
            | UndoAction::SetTimes { path, .. } => Some(path),
            UndoAction::Custom { .. } => None,
        }
    }

    /// Makes all paths absolute.
    pub(super) fn make_absolute(&mut self) -> Result<(), UndoError> {
        if let Some(condition) = &mut self.condition {
            condition.make_absolute()?;
        }
        match &mut self.action {
            UndoAction::Restore { path, content, .. } => {
                if let SavedContent::File(saved) = content {
                    make_absolute(saved)?;
                }
                make_absolute(path)
            }
            UndoAction::Rename { from, to } => {
                make_absolute(from)?;
                make_absolute(to)
            }
            UndoAction::Remove { path }
            | UndoAction::SetMode { path, .. }
            | UndoAction::SetOwner { path, .. }
            | UndoAction::SetTimes { path, .. } => make_absolute(path),
            UndoAction::Custom { .. } => Ok(()),
        }
    }
}
