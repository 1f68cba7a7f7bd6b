//! Changes the content of a file in place, and records the undo step that restores the content.

use super::{FaultError, Injection, UndoStep};
use crate::os::resource_limit::with_limits_lifted;
use std::fs::{File, FileTimes};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Replaces the `old` bytes at `offset` by `new`, in place: the file keeps its inode.
///
/// If `old` and `new` differ in length, `old` must reach to the end of the file.
#[derive(Debug)]
pub(super) struct InPlaceEdit {
    path: PathBuf,
    offset: u64,
    old: Vec<u8>,
    new: Vec<u8>,
    /// Whether the edit keeps the file's modification time, as bit rot does.
    silent: bool,
}

impl InPlaceEdit {
    /// Plans an edit of the `length` bytes at `offset`. Reads these bytes, and passes them to
    /// `change`, which returns the new bytes.
    pub(super) fn plan(
        path: &Path,
        offset: u64,
        length: u64,
        change: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Self, FaultError> {
        with_limits_lifted(|| {
            let size = size(path)?;
            let Some(end) = offset.checked_add(length).filter(|end| *end <= size) else {
                return Err(FaultError::unfit(
                    format!("{length} bytes from offset {offset} on"),
                    format!("a file of {size} bytes"),
                ));
            };
            let old = read_at(path, offset, length)?;
            let new = change(&old);
            debug_assert!(
                old.len() == new.len() || end == size,
                "only the end of a file can change its length"
            );
            Ok(Self {
                path: path.to_owned(),
                offset,
                old,
                new,
                silent: false,
            })
        })
    }

    /// Whether the new bytes are equal to the old bytes.
    pub(super) fn changes_nothing(&self) -> bool {
        self.old == self.new
    }

    /// Makes the edit keep the file's modification time.
    pub(super) fn silently(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Changes the file. Undoing restores the old bytes and the modification time, unless other
    /// code writes to the file after this edit.
    pub(super) fn apply(self, injection: &Injection) -> Result<(), FaultError> {
        with_limits_lifted(|| self.write(injection))
    }

    fn write(self, injection: &Injection) -> Result<(), FaultError> {
        let path = &self.path;
        let mut file = File::options()
            .write(true)
            .open(path)
            .map_err(FaultError::file("open for writing", path))?;
        let before = file
            .metadata()
            .and_then(|metadata| metadata.modified())
            .map_err(FaultError::file("read the times of", path))?;
        let (old, new) = (self.old.len() as u64, self.new.len() as u64);
        injection.record(
            UndoStep::restore_bytes(path, self.offset, self.old, new, before)
                .with_damage(self.new.clone()),
        )?;
        file.seek(SeekFrom::Start(self.offset))
            .and_then(|_| file.write_all(&self.new))
            .map_err(FaultError::file("write", path))?;
        if new < old {
            file.set_len(self.offset + new)
                .map_err(FaultError::file("cut", path))?;
        }
        if self.silent {
            file.set_times(FileTimes::new().set_modified(before))
                .map_err(FaultError::file("set the times of", path))?;
        }
        injection.expect_unchanged(path)
    }
}

/// The size of a regular file in bytes.
pub(super) fn size(path: &Path) -> Result<u64, FaultError> {
    let metadata = std::fs::metadata(path).map_err(FaultError::file("look at", path))?;
    if !metadata.is_file() {
        return Err(FaultError::unfit(
            "a regular file",
            format!("{:?}", metadata.file_type()),
        ));
    }
    Ok(metadata.len())
}

fn read_at(path: &Path, offset: u64, length: u64) -> Result<Vec<u8>, FaultError> {
    let mut file = File::open(path).map_err(FaultError::file("open", path))?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.take(length).read_to_end(&mut bytes))
        .map_err(FaultError::file("read", path))?;
    Ok(bytes)
}
