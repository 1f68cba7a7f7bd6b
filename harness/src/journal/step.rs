//! An undo step that can be stored in a journal.

use super::condition::{FileIdentity, UndoCondition, make_absolute};
use super::error::UndoError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// One step that undoes a part of a fault. A journal stores steps as JSON.
///
/// The steps of a fault run in the reverse order of their recording. They usually run in the test's
/// process. If a test outside of the sandbox was killed, the steps run in the runner instead. If
/// the runner was killed too, they run in the test's supervisor, or in a later run. The conditions
/// of all steps are checked before the first step runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UndoStep {
    /// The action that undoes a part of the fault.
    pub action: UndoAction,
    /// The condition under which the action applies; `None` means always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<UndoCondition>,
    /// The file that the step changes. The journal sets this field in a journal file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<FileIdentity>,
    /// Whether the condition has been checked and the step may have run in part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) begun: bool,
}

/// The action of an [`UndoStep`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UndoAction {
    /// Overwrites a part of a file in place. If `content` has fewer than `replaced` bytes, the file
    /// is truncated after `content`. A missing file is not created again.
    #[non_exhaustive]
    Restore {
        /// The file. Symlinks are followed.
        path: PathBuf,
        /// The offset of the first byte to write, from 0.
        offset: u64,
        /// The bytes to write.
        content: SavedContent,
        /// The number of bytes that `content` replaces. If this number is not the length of
        /// `content`, the replaced bytes reach to the end of the file.
        replaced: u64,
        /// The modification time to set after the write. `None` keeps the time of the write.
        modified: Option<SystemTime>,
        /// The bytes that the fault puts in the place of `content`, if they are known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        damage: Option<SavedContent>,
    },
    /// Removes a file, a symlink or an empty directory.
    #[non_exhaustive]
    Remove {
        /// The path that the fault has created.
        path: PathBuf,
    },
    /// Moves a file or directory back, within one file system. An existing path is not overwritten.
    #[non_exhaustive]
    Rename {
        /// The path after the fault.
        from: PathBuf,
        /// The path before the fault.
        to: PathBuf,
    },
    /// Sets the permissions of a file or directory. On Unix only.
    #[non_exhaustive]
    SetMode {
        /// The file or directory. Symlinks are followed.
        path: PathBuf,
        /// The lowest nine bits of the mode, 0 to 0o777.
        mode: u32,
    },
    /// Sets the user and group of a file or directory. On Unix only.
    #[non_exhaustive]
    SetOwner {
        /// The file or directory. Symlinks are followed.
        path: PathBuf,
        /// The user ID.
        uid: u32,
        /// The group ID.
        gid: u32,
    },
    /// Sets the access time and the modification time of a file or directory.
    #[non_exhaustive]
    SetTimes {
        /// The file or directory. Symlinks are followed.
        path: PathBuf,
        /// The access time to set. `None` leaves the access time unchanged.
        accessed: Option<SystemTime>,
        /// The modification time to set. `None` leaves the modification time unchanged.
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

/// The saved bytes of an [`UndoAction::Restore`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SavedContent {
    /// The bytes in memory. When a journal is written to disk, the bytes move into a file of their
    /// own.
    Bytes(Vec<u8>),
    /// The path of a file that contains the bytes, in the fault's scratch directory.
    File(PathBuf),
}

impl UndoStep {
    /// Returns a step without a condition: the step always applies.
    #[must_use]
    pub fn new(action: UndoAction) -> Self {
        Self {
            action,
            condition: None,
            file: None,
            begun: false,
        }
    }

    /// Returns a step that restores the file at `path` to the content and modification time that
    /// the file has now.
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
            // The step replaces the whole file, however long the file is when the step runs.
            replaced: u64::MAX,
            modified: metadata.modified().ok(),
            damage: None,
        }))
    }

    /// Returns a step that writes `content` over a part of the file at `path`. The part begins at
    /// the byte `offset` and has `replaced` bytes. The step also sets the modification time to
    /// `modified`.
    ///
    /// If `replaced` is not the length of `content`, the replaced bytes must reach to the end of
    /// the file.
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
            damage: None,
        })
    }

    /// Adds the bytes that the fault will write in the place of the saved bytes. A later run can
    /// then recognise damage that is incomplete because the test was killed. Has an effect only on
    /// steps that restore bytes.
    #[must_use]
    pub fn with_damage(mut self, bytes: Vec<u8>) -> Self {
        if let UndoAction::Restore { damage, .. } = &mut self.action {
            *damage = Some(SavedContent::Bytes(bytes));
        }
        self
    }

    /// Returns a step that removes the file, symlink or empty directory that the fault will create
    /// at `path`. When the step is recorded, `path` must not exist yet.
    #[must_use]
    pub fn remove(path: impl Into<PathBuf>) -> Self {
        Self::new(UndoAction::Remove { path: path.into() })
    }

    /// Returns a step that moves a file or directory from `from` back to `to`. The fault itself
    /// moves the file or directory from `to` to `from`.
    #[must_use]
    pub fn rename(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Self {
        Self::new(UndoAction::Rename {
            from: from.into(),
            to: to.into(),
        })
    }

    /// Returns a step that sets the permissions to the lowest nine bits of `mode`.
    #[must_use]
    pub fn set_mode(path: impl Into<PathBuf>, mode: u32) -> Self {
        Self::new(UndoAction::SetMode {
            path: path.into(),
            mode,
        })
    }

    /// Returns a step that sets the owner to the user ID `uid` and the group ID `gid`.
    #[must_use]
    pub fn set_owner(path: impl Into<PathBuf>, uid: u32, gid: u32) -> Self {
        Self::new(UndoAction::SetOwner {
            path: path.into(),
            uid,
            gid,
        })
    }

    /// Returns a step that sets the modification time.
    #[must_use]
    pub fn set_modified(path: impl Into<PathBuf>, modified: SystemTime) -> Self {
        Self::new(UndoAction::SetTimes {
            path: path.into(),
            accessed: None,
            modified: Some(modified),
        })
    }

    /// Returns a step that calls the [undo handler](crate::undo_handler) `name` with `payload`.
    ///
    /// # Errors
    ///
    /// When the payload cannot be converted to JSON.
    pub fn custom(name: impl Into<String>, payload: impl Serialize) -> Result<Self, UndoError> {
        let name = name.into();
        match serde_json::to_value(payload) {
            Ok(payload) => Ok(Self::new(UndoAction::Custom { name, payload })),
            Err(error) => Err(UndoError::Payload { name, error }),
        }
    }

    /// Adds a condition: the step is skipped if the condition does not hold.
    #[must_use]
    pub fn only_if(mut self, condition: UndoCondition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// The path that the step changes. `None` for a custom step.
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

    /// Makes all paths in the step absolute.
    pub(super) fn make_absolute(&mut self) -> Result<(), UndoError> {
        if let Some(condition) = &mut self.condition {
            condition.make_absolute()?;
        }
        match &mut self.action {
            UndoAction::Restore {
                path,
                content,
                damage,
                ..
            } => {
                for saved in [content].into_iter().chain(damage) {
                    if let SavedContent::File(saved) = saved {
                        make_absolute(saved)?;
                    }
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
