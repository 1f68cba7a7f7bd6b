//! The one way in which file faults change content, and change it back.

use super::identity::Identity;
use super::limit::lifted;
use super::repair::Repair;
use super::{FaultError, Undo, UndoOutcome};
use serde::{Deserialize, Serialize};
use std::fs::{File, FileTimes};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Puts `new` in the place of the `old` bytes at `offset`, in place: same file, same inode.
///
/// Where the lengths differ, `old` must reach to the end of the file.
#[derive(Debug)]
pub(super) struct Splice {
    path: PathBuf,
    offset: u64,
    old: Vec<u8>,
    new: Vec<u8>,
    /// Whether the file's times stay as they are, as they do when a disk rots.
    silent: bool,
}

impl Splice {
    /// Reads the `length` bytes of the file from `offset` on; `change` makes of them what is to stand there instead.
    pub(super) fn plan(
        path: &Path,
        offset: u64,
        length: u64,
        change: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Self, FaultError> {
        lifted(|| Self::read(path, offset, length, change))
    }

    fn read(
        path: &Path,
        offset: u64,
        length: u64,
        change: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Self, FaultError> {
        let size = size(path)?;
        let Some(end) = offset.checked_add(length).filter(|end| *end <= size) else {
            return Err(FaultError::unfit(
                format!("{length} bytes from offset {offset} on"),
                format!("a file of {size} bytes"),
            ));
        };
        let file = File::open(path).map_err(FaultError::file("open", path))?;
        let old = read_at(&file, path, offset, length)?;
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
    }

    /// Changes one byte.
    pub(super) fn of_byte(
        path: &Path,
        offset: u64,
        change: impl Fn(u8) -> u8,
    ) -> Result<Self, FaultError> {
        Self::plan(path, offset, 1, |old| {
            old.iter().copied().map(change).collect()
        })
    }

    /// Whether the new bytes are the old ones.
    pub(super) fn changes_nothing(&self) -> bool {
        self.old == self.new
    }

    /// Keeps the file's modification time as it is.
    pub(super) fn silently(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Changes the file. What it gives changes it back, if nobody has touched the file meanwhile. `scratch` is for what changes it back when this process
    /// is gone.
    pub(super) fn apply(self, scratch: &Path) -> Result<Undo, FaultError> {
        lifted(|| self.write(scratch))
    }

    fn write(self, scratch: &Path) -> Result<Undo, FaultError> {
        let mut file = self.open()?;
        let before = self.modified(&file)?;
        let is_kept = Repair::is_needed(&self.path, scratch);
        if is_kept {
            self.keep(scratch, before, None)?;
        }
        self.put(&mut file, &self.new, self.old.len())?;
        if self.silent {
            self.set_modified(&file, before)?;
        }
        let left = Identity::of(&file, &self.path)?;
        if is_kept {
            self.keep(scratch, before, Some(left.clone()))?;
        }
        let scratch = scratch.to_owned();
        Ok(Undo::new(move || {
            let undone = lifted(|| self.take_back(Some(&left), before))?;
            if is_kept {
                Repair::forget(&scratch);
            }
            Ok(undone)
        }))
    }

    /// Writes down how to take it back.
    fn keep(
        &self,
        scratch: &Path,
        modified: SystemTime,
        left: Option<Identity>,
    ) -> Result<(), FaultError> {
        if left.is_none() {
            let old = scratch.join(OLD);
            std::fs::create_dir_all(scratch)
                .and_then(|()| std::fs::write(&old, &self.old))
                .map_err(FaultError::file("write", &old))?;
        }
        let kept = Kept {
            path: std::path::absolute(&self.path).map_err(FaultError::file("find", &self.path))?,
            offset: self.offset,
            new_length: self.new.len(),
            modified,
            left,
        };
        Repair::Splice(kept).keep(scratch)
    }

    /// Puts back the old bytes and the old time of modification, where the file is still as it was `left`; whatever it is, if that is not known.
    fn take_back(
        self,
        left: Option<&Identity>,
        before: SystemTime,
    ) -> Result<UndoOutcome, FaultError> {
        let superseded = |found: &str| {
            Ok(UndoOutcome::Superseded {
                found: found.to_owned(),
            })
        };
        let mut file = match self.open() {
            Err(FaultError::File { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                return superseded("no file");
            }
            opened => opened?,
        };
        let found = Identity::of(&file, &self.path)?;
        if left.is_some_and(|left| found != *left) {
            return superseded("a file that was written since");
        }
        self.put(&mut file, &self.old, self.new.len())?;
        self.set_modified(&file, before)?;
        Ok(UndoOutcome::Restored)
    }

    fn open(&self) -> Result<File, FaultError> {
        let mut options = File::options();
        options.write(true);
        options
            .open(&self.path)
            .map_err(FaultError::file("open for writing", &self.path))
    }

    fn modified(&self, file: &File) -> Result<SystemTime, FaultError> {
        file.metadata()
            .and_then(|metadata| metadata.modified())
            .map_err(FaultError::file("read the times of", &self.path))
    }

    fn set_modified(&self, file: &File, modified: SystemTime) -> Result<(), FaultError> {
        file.set_times(FileTimes::new().set_modified(modified))
            .map_err(FaultError::file("set the times of", &self.path))
    }

    /// Writes `bytes` over the `length` bytes at the offset, and cuts what is left of them.
    fn put(&self, file: &mut File, bytes: &[u8], length: usize) -> Result<(), FaultError> {
        file.seek(SeekFrom::Start(self.offset))
            .and_then(|_| file.write_all(bytes))
            .map_err(FaultError::file("write", &self.path))?;
        if bytes.len() < length {
            file.set_len(self.offset + bytes.len() as u64)
                .map_err(FaultError::file("cut", &self.path))?;
        }
        Ok(())
    }
}

/// Here the old bytes are kept.
const OLD: &str = "old";

/// What it takes to take a splice back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    path: PathBuf,
    offset: u64,
    new_length: usize,
    modified: SystemTime,
    /// What the file was left as; none when the process ended while it was changing it.
    left: Option<Identity>,
}

impl Kept {
    pub(super) fn take_back(self, scratch: &Path) -> Result<UndoOutcome, FaultError> {
        let old = scratch.join(OLD);
        let splice = Splice {
            offset: self.offset,
            old: std::fs::read(&old).map_err(FaultError::file("read", &old))?,
            // Its length is all that counts on the way back.
            new: vec![0; self.new_length],
            silent: false,
            path: self.path,
        };
        splice.take_back(self.left.as_ref(), self.modified)
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

fn read_at(mut file: &File, path: &Path, offset: u64, length: u64) -> Result<Vec<u8>, FaultError> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.take(length).read_to_end(&mut bytes))
        .map_err(FaultError::file("read", path))?;
    Ok(bytes)
}
