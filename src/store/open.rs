//! Opens a version: reads the manifest, and the bytes of each file that the manifest lists.

use std::io::Read;

use super::parallel::read_files;
use super::regular_file::io_error;
use super::version_directory::{OpenError, VersionDirectory};
use super::{Store, VerifiedVersion, VerifyError};
use crate::manifest::Manifest;
use crate::{ModelName, Version};

/// How often a version is read anew because a symlink was swapped while it was read.
const MAX_TRIES: usize = 8;

impl Store {
    /// Reads a version into memory and verifies it.
    ///
    /// Opens the files that the manifest lists, and no others. Each file is opened once, and must
    /// be a regular file of the length in the manifest. Each file is read once and hashed in the
    /// same pass. The files of a large version are read in parallel.
    ///
    /// Symlinks are followed only [inside of named roots](Self::follow_links_under). Each symlink
    /// is read once per try. If a symlink is swapped, and the version cannot be read, tries again.
    ///
    /// # Errors
    ///
    /// When the version cannot be read, or does not match its manifest: see [`VerifyError`].
    // Nothing is memory-mapped: a mapped page can change after it was verified.
    pub fn open(
        &self,
        model: &ModelName,
        version: Version,
    ) -> Result<VerifiedVersion, VerifyError> {
        let read = |directory: &_| open_verified(directory, model, version);
        let (_, opened) = self.read_version(model, version, read)?;
        Ok(opened)
    }

    /// Reads the manifest of a version, without reading the version's files.
    ///
    /// # Errors
    ///
    /// When the manifest is missing or invalid: see [`VerifyError`].
    pub fn manifest(&self, model: &ModelName, version: Version) -> Result<Manifest, VerifyError> {
        let read = |directory: &_| read_manifest(directory, model, version);
        let (_, manifest) = self.read_version(model, version, read)?;
        Ok(manifest)
    }

    /// Reads from the directory of a version. Tries again if a symlink was swapped meanwhile.
    pub(super) fn read_version<T>(
        &self,
        model: &ModelName,
        version: Version,
        read: impl Fn(&VersionDirectory) -> Result<T, VerifyError>,
    ) -> Result<(VersionDirectory, T), VerifyError> {
        for _ in 0..MAX_TRIES {
            let directory = self.find_version(model, version)?;
            match read(&directory) {
                Ok(read) => return Ok((directory, read)),
                Err(_) if directory.has_changed() => {}
                Err(error) => return Err(error),
            }
        }
        let why = "the directories of the version changed each time that it was read";
        Err(io_error(
            &format!("{model}/{version}"),
            std::io::Error::other(why),
        ))
    }
}

/// Opens the version in `directory`. The manifest must name `model` and `version`.
pub(super) fn open_verified(
    directory: &VersionDirectory,
    model: &ModelName,
    version: Version,
) -> Result<VerifiedVersion, VerifyError> {
    let manifest = read_manifest(directory, model, version)?;
    let files = read_files(directory, &manifest)?;
    Ok(VerifiedVersion::new(manifest, files))
}

pub(super) fn read_manifest(
    directory: &VersionDirectory,
    model: &ModelName,
    version: Version,
) -> Result<Manifest, VerifyError> {
    let name = Manifest::FILE_NAME;
    let (file, length) = match directory.open(name) {
        Ok(opened) => opened,
        Err(OpenError::NotFound) => return Err(VerifyError::NoManifest),
        Err(OpenError::Refused(error)) => return Err(error),
    };
    let limit = Manifest::MAX_BYTES;
    if length > limit {
        return Err(VerifyError::ManifestTooLarge {
            limit,
            found: length,
        });
    }
    let mut json = Vec::new();
    // Reads at most one byte more than the limit, to detect a manifest that grows while it is read.
    file.take(limit + 1)
        .read_to_end(&mut json)
        .map_err(|error| io_error(name, error))?;
    if json.len() as u64 > limit {
        return Err(VerifyError::ManifestTooLarge {
            limit,
            found: json.len() as u64,
        });
    }
    let manifest = Manifest::parse(&json)?;
    if manifest.model() != model || manifest.version() != version {
        return Err(VerifyError::ForeignManifest {
            expected_model: model.clone(),
            expected_version: version,
            found_model: manifest.model().clone(),
            found_version: manifest.version(),
        });
    }
    Ok(manifest)
}
