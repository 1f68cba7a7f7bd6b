//! Verify while reading: each file is opened once, read once, hashed in the same pass; what was verified is what is used.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::opening::{Opening, describe, io_error, open_regular};
use super::parallel::read_files;
use super::{Store, VerifiedVersion, VerifyError};
use crate::digest::Hasher;
use crate::manifest::{FileEntry, FilePath, MAX_DEPTH, Manifest};
use crate::{Digest, ModelName, Version};

/// Bytes read at a time: small enough that they are still in the processor's cache when they are hashed.
const CHUNK: u64 = 256 << 10;

impl Store {
    /// Reads a version into memory and verifies it.
    ///
    /// Each file is opened once without following links, must be a regular file of the promised length, and is read
    /// once while it is hashed; large ones beside each other, on a few threads. Nothing is mapped: a mapped page can change after it was verified.
    ///
    /// # Errors
    ///
    /// What is not as the manifest promises, the first of it that is found: see [`VerifyError`].
    pub fn open(
        &self,
        model: &ModelName,
        version: Version,
    ) -> Result<VerifiedVersion, VerifyError> {
        open_folder_verified(&self.version_folder(model, version), model, version)
    }

    /// Reads the manifest of a version, without verifying the files.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be believed: see [`VerifyError`].
    pub fn manifest(&self, model: &ModelName, version: Version) -> Result<Manifest, VerifyError> {
        read_manifest(&self.version_folder(model, version), model, version)
    }
}

/// Opens the version in `folder`, which must be that version of that model.
pub(super) fn open_folder_verified(
    folder: &Path,
    model: &ModelName,
    version: Version,
) -> Result<VerifiedVersion, VerifyError> {
    let manifest = read_manifest(folder, model, version)?;
    refuse_unlisted(folder, &manifest)?;
    let files = read_files(folder, &manifest)?;
    Ok(VerifiedVersion::new(manifest, files))
}

fn read_manifest(
    folder: &Path,
    model: &ModelName,
    version: Version,
) -> Result<Manifest, VerifyError> {
    let name = Manifest::FILE_NAME;
    let (file, length) = match open_regular(&folder.join(name), name) {
        Ok(opened) => opened,
        Err(Opening::NotFound) if folder.is_dir() => return Err(VerifyError::NoManifest),
        Err(Opening::NotFound) => return Err(VerifyError::NoVersion),
        Err(Opening::Refused(error)) => return Err(error),
    };
    let limit = Manifest::MAX_BYTES;
    if length > limit {
        return Err(VerifyError::ManifestTooLarge {
            limit,
            found: length,
        });
    }
    let mut json = Vec::new();
    // One byte over the limit, so that a manifest that grows just now is seen to.
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

pub(super) fn read_verified(
    folder: &Path,
    path: &FilePath,
    entry: &FileEntry,
) -> Result<Vec<u8>, VerifyError> {
    let (file, found) = match open_regular(&folder.join(path.as_str()), path.as_str()) {
        Ok(opened) => opened,
        Err(Opening::NotFound) => return Err(VerifyError::FileMissing { file: path.clone() }),
        Err(Opening::Refused(error)) => return Err(error),
    };
    let expected = entry.size;
    if found != expected {
        let file = path.clone();
        return Err(VerifyError::SizeMismatch {
            file,
            expected,
            found,
        });
    }
    read_promised(file, path, entry)
}

/// Reads what was promised: exactly so many bytes, and no more to come after them.
fn read_promised(
    mut file: impl Read,
    path: &FilePath,
    entry: &FileEntry,
) -> Result<Vec<u8>, VerifyError> {
    let (bytes, found) = read_hashed(&mut file, path, entry.size)?;
    let more = file.take(1).read_to_end(&mut Vec::new());
    if more.map_err(|error| io_error(path.as_str(), error))? > 0 {
        return Err(VerifyError::Changed {
            file: path.clone(),
            expected: entry.size,
            grew: true,
        });
    }
    compared(bytes, found, path, entry)
}

/// Reads so many bytes, hashing them in the same pass.
pub(super) fn read_hashed(
    file: &mut impl Read,
    path: &FilePath,
    size: u64,
) -> Result<(Vec<u8>, Digest), VerifyError> {
    let mut bytes = Vec::new();
    let room = usize::try_from(size).ok();
    // Only as much as is on disk is allocated: the promised length equals the found one here.
    if room.is_none_or(|room| bytes.try_reserve_exact(room).is_err()) {
        return Err(VerifyError::OutOfMemory {
            file: path.clone(),
            size,
        });
    }
    let mut hasher = Hasher::new();
    let mut left = size;
    while left > 0 {
        let start = bytes.len();
        let chunk = file.take(left.min(CHUNK)).read_to_end(&mut bytes);
        match chunk.map_err(|error| io_error(path.as_str(), error))? {
            0 => {
                return Err(VerifyError::Changed {
                    file: path.clone(),
                    expected: size,
                    grew: false,
                });
            }
            count => left -= count as u64,
        }
        hasher.update(&bytes[start..]);
    }
    Ok((bytes, hasher.finish()))
}

/// Gives `bytes` out if theirs is the promised digest.
pub(super) fn compared<T>(
    bytes: T,
    found: Digest,
    path: &FilePath,
    entry: &FileEntry,
) -> Result<T, VerifyError> {
    if found == entry.sha256 {
        return Ok(bytes);
    }
    Err(VerifyError::DigestMismatch {
        file: path.clone(),
        expected: entry.sha256,
        found,
    })
}

/// Refuses everything in the folder that the manifest does not list, empty folders included: a version is what was
/// published and no more.
fn refuse_unlisted(folder: &Path, manifest: &Manifest) -> Result<(), VerifyError> {
    let mut folders = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        let shown = if prefix.is_empty() { "." } else { &*prefix };
        let entries = fs::read_dir(&folder).map_err(|error| io_error(shown, error))?;
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
                folders.push((entry.path(), inside, depth + 1));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], promised: &[u8]) -> Result<Vec<u8>, VerifyError> {
        let entry = FileEntry {
            size: promised.len() as u64,
            sha256: Digest::of(promised),
        };
        read_promised(bytes, &"model.onnx".parse().unwrap(), &entry)
    }

    #[test]
    fn bytes_are_read_whole_across_chunks() {
        let chunk = usize::try_from(CHUNK).unwrap();
        for length in [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk + 7] {
            let bytes: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            assert_eq!(read(&bytes, &bytes).unwrap(), bytes);
        }
    }

    #[test]
    fn a_file_that_grows_or_shrinks_while_it_is_read_is_refused() {
        let grown = read(b"abcd", b"abc").unwrap_err();
        assert!(
            matches!(grown, VerifyError::Changed { grew: true, .. }),
            "{grown}"
        );
        let shrunk = read(b"ab", b"abc").unwrap_err();
        assert!(
            matches!(shrunk, VerifyError::Changed { grew: false, .. }),
            "{shrunk}"
        );
        let other = read(b"abd", b"abc").unwrap_err();
        assert!(
            matches!(other, VerifyError::DigestMismatch { .. }),
            "{other}"
        );
    }
}
