//! Work of the kernel between the calls of a program.
//!
//! The kernel writes files, and commits journals, when it likes. No state that this leaves is new
//! to the models.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rustix::fs::{Advice, fadvise, syncfs};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Work that no call of the program asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Background {
    /// Writes the bytes of all files, without their metadata.
    WriteBytes,
    /// Syncs a file outside of the program's directory.
    SyncOther,
    /// Syncs the file system.
    SyncAll,
}

impl Background {
    /// Draws work for a fourth of the calls.
    pub(crate) fn draw(rng: &mut ChaCha8Rng) -> Option<Self> {
        match rng.random_range(0..16) {
            0 | 1 => Some(Self::WriteBytes),
            2 => Some(Self::SyncOther),
            3 => Some(Self::SyncAll),
            _ => None,
        }
    }

    /// Does the work for the program in `root`. `other` is a file outside of `root`.
    pub(crate) fn run(self, root: &Path, other: &mut File) -> io::Result<()> {
        match self {
            Self::WriteBytes => files(root)?.iter().try_for_each(|path| {
                // Starts to write the bytes at once.
                Ok(fadvise(File::open(path)?, 0, None, Advice::DontNeed)?)
            }),
            Self::SyncOther => {
                other.write_all(b"other")?;
                other.sync_all()
            }
            Self::SyncAll => Ok(syncfs(&*other)?),
        }
    }
}

fn files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for directory in [root.to_owned(), root.join("d")] {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}
