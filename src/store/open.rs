//! Opens a version: reads the manifest, checks the list of files, and reads the bytes of each file.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::parallel::read_files;
use super::regular_file::{OpenError, describe, io_error, open_regular};
use super::{Store, VerifiedVersion, VerifyError};
use crate::manifest::{FilePath, MAX_DEPTH, Manifest};
use crate::{ModelName, Version};

impl Store {
    /// Reads a version into memory and verifies it.
    ///
    /// Each file is opened once, without following symlinks, and must be a regular file of the
    /// length in the manifest. Each file is read once and hashed in the same pass. The files of a
    /// large version are read in parallel.
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
        open_verified(&self.version_directory(model, version), model, version)
    }

    /// Reads the manifest of a version, without reading the version's files.
    ///
    /// # Errors
    ///
    /// When the manifest is missing or invalid: see [`VerifyError`].
    pub fn manifest(&self, model: &ModelName, version: Version) -> Result<Manifest, VerifyError> {
        read_manifest(&self.version_directory(model, version), model, version)
    }
}

/// Opens the version in `directory`. The manifest must name `model` and `version`.
pub(super) fn open_verified(
    directory: &Path,
    model: &ModelName,
    version: Version,
) -> Result<VerifiedVersion, VerifyError> {
    let manifest = read_manifest(directory, model, version)?;
    refuse_unlisted(directory, &manifest)?;
    let files = read_files(directory, &manifest)?;
    Ok(VerifiedVersion::new(manifest, files))
}

fn read_manifest(
    directory: &Path,
    model: &ModelName,
    version: Version,
) -> Result<Manifest, VerifyError> {
    let name = Manifest::FILE_NAME;
    let (file, length) = match open_regular(&directory.join(name), name) {
        Ok(opened) => opened,
        Err(OpenError::NotFound) if directory.is_dir() => return Err(VerifyError::NoManifest),
        Err(OpenError::NotFound) => return Err(VerifyError::NoVersion),
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

/// Refuses every entry that the manifest does not list, empty directories included.
fn refuse_unlisted(directory: &Path, manifest: &Manifest) -> Result<(), VerifyError> {
    let mut directories = vec![(directory.to_owned(), String::new(), 0)];
    while let Some((directory, prefix, depth)) = directories.pop() {
        let shown = if prefix.is_empty() { "." } else { &*prefix };
        let entries = fs::read_dir(&directory).map_err(|error| io_error(shown, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| io_error(shown, error))?;
            let file = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(|error| io_error(&file, error))?;
            let inside = format!("{file}/");
            let listed_inside = || {
                manifest
                    .files()
                    .keys()
                    .any(|path| path.as_str().starts_with(&inside))
            };
            let listed = file
                .parse()
                .is_ok_and(|path: FilePath| manifest.files().contains_key(&path));
            if depth == 0 && file == Manifest::FILE_NAME {
                continue;
            } else if kind.is_dir() && depth < MAX_DEPTH && listed_inside() {
                directories.push((entry.path(), inside, depth + 1));
            } else if !listed && !kind.is_file() && listed_inside() {
                return Err(VerifyError::NotRegular {
                    file,
                    found: describe(kind),
                });
            } else if !listed {
                return Err(VerifyError::Unlisted { file });
            }
        }
    }
    Ok(())
}
