//! Reading a version again a little at a time, to find what has rotted.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use super::opening::{Opening, io_error, open_regular};
use super::read::compared;
use super::{Store, VerifyError};
use crate::digest::Hasher;
use crate::manifest::{FileEntry, FilePath, Manifest};
use crate::{ModelName, Version};

/// A version that is being read again. Nothing of it is kept: what was read is hashed and forgotten.
#[derive(Debug)]
pub(crate) struct Scrubbing {
    folder: PathBuf,
    manifest: Manifest,
    left: Vec<(FilePath, FileEntry)>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    path: FilePath,
    entry: FileEntry,
    hasher: Hasher,
    left: u64,
}

/// What a step came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// So many bytes were read, and there is more.
    More(Scrubbing, u64),
    /// All of it is as promised.
    Clean,
    /// What is on disk is not what was promised.
    Rotten(Manifest, VerifyError),
    /// What it should be cannot even be told.
    Unbelievable(VerifyError),
}

impl Store {
    /// Begins to read a version again.
    pub(crate) fn scrub(
        &self,
        model: &ModelName,
        version: Version,
    ) -> Result<Scrubbing, VerifyError> {
        let manifest = self.manifest(model, version)?;
        let files = manifest.files().iter();
        Ok(Scrubbing {
            folder: self.version_folder(model, version),
            left: files.map(|(path, entry)| (path.clone(), *entry)).collect(),
            manifest,
            open: None,
        })
    }
}

impl Scrubbing {
    /// Reads up to so many bytes more. Blocks.
    pub(crate) fn step(mut self, most: u64) -> Step {
        match self.read(most) {
            Err(error) => Step::Rotten(self.manifest, error),
            Ok(count) if count > 0 || !self.left.is_empty() => Step::More(self, count),
            Ok(_) => Step::Clean,
        }
    }

    /// Reads a part of one file; 0 when a file has ended.
    fn read(&mut self, most: u64) -> Result<u64, VerifyError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => match self.left.pop() {
                Some((path, entry)) => self.open(path, entry)?,
                None => return Ok(0),
            },
        };
        let mut chunk = Vec::new();
        let read = (&mut open.file)
            .take(most.min(open.left))
            .read_to_end(&mut chunk);
        read.map_err(|error| io_error(open.path.as_str(), error))?;
        open.hasher.update(&chunk);
        let count = chunk.len() as u64;
        open.left -= count;
        if open.left > 0 && count > 0 {
            self.open = Some(open);
            return Ok(count);
        }
        if open.left > 0 {
            return Err(VerifyError::Changed {
                file: open.path,
                expected: open.entry.size,
                grew: false,
            });
        }
        compared((), open.hasher.finish(), &open.path, &open.entry)?;
        Ok(count)
    }

    fn open(&self, path: FilePath, entry: FileEntry) -> Result<Open, VerifyError> {
        let (file, found) = match open_regular(&self.folder.join(path.as_str()), path.as_str()) {
            Ok(opened) => opened,
            Err(Opening::NotFound) => return Err(VerifyError::FileMissing { file: path }),
            Err(Opening::Refused(error)) => return Err(error),
        };
        if found != entry.size {
            return Err(VerifyError::SizeMismatch {
                file: path,
                expected: entry.size,
                found,
            });
        }
        forget(&file);
        Ok(Open {
            file,
            path,
            left: entry.size,
            entry,
            hasher: Hasher::new(),
        })
    }
}

/// Asks the operating system to drop what it remembers of a file, so that the disk is read and not the copy in memory,
/// which is good for as long as it is there.
fn forget(file: &File) {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{Advice, fadvise};
        // An advice: where it is not taken the scrub finds less, and does no harm.
        let _ = fadvise(file, 0, None, Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
