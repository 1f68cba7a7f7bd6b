//! The mapped files that the program rebuilds. Their pages are not protected.

use super::path_below;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Volatile files that a program has mapped, with their last contents.
#[derive(Debug, Default)]
pub(super) struct VolatileMappings(Vec<(File, Vec<u8>)>);

impl VolatileMappings {
    /// Adds a file, unless it is known.
    pub(super) fn add(&mut self, file: File) -> io::Result<()> {
        let identity = |file: &File| {
            let found = file.metadata()?;
            io::Result::Ok((found.dev(), found.ino()))
        };
        let new = identity(&file)?;
        for (known, _) in &self.0 {
            if identity(known)? == new {
                return Ok(());
            }
        }
        self.0.push((file, Vec::new()));
        Ok(())
    }

    /// Gives the contents that have changed since the last call of this method.
    pub(super) fn take(&mut self, directory: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
        let mut changed = Vec::new();
        for (file, known) in &mut self.0 {
            let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
            let mut bytes = vec![0; length];
            // Another process can cut the file at any time.
            match file.read_exact_at(&mut bytes, 0) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                read => read?,
            }
            if let Some(path) = path_below(file, directory).filter(|_| bytes != *known) {
                changed.push((path, bytes.clone()));
                *known = bytes;
            }
        }
        Ok(changed)
    }
}
