//! Reads one file of a version, hashes it in the same pass, and compares the digest.

use std::io::Read;

use super::VerifyError;
use super::regular_file::io_error;
use super::version_directory::{OpenError, VersionDirectory};
use crate::Digest;
use crate::digest::Hasher;
use crate::manifest::{FileEntry, FilePath};

/// The size of a chunk in bytes. A chunk of this size is still in the processor's cache when the
/// chunk is hashed.
const CHUNK: u64 = 256 << 10;

pub(super) fn read_verified(
    directory: &VersionDirectory,
    path: &FilePath,
    entry: &FileEntry,
) -> Result<Vec<u8>, VerifyError> {
    let (file, found) = match directory.open(path.as_str()) {
        Ok(opened) => opened,
        Err(OpenError::NotFound) => return Err(VerifyError::FileMissing { file: path.clone() }),
        Err(OpenError::Refused(error)) => return Err(error),
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
    read_exactly(file, path, entry)
}

/// Reads as many bytes as `entry` states, checks that no more follow, and compares the digest.
fn read_exactly(
    mut file: impl Read,
    path: &FilePath,
    entry: &FileEntry,
) -> Result<Vec<u8>, VerifyError> {
    let (bytes, found) = read_and_hash(&mut file, path, entry.size)?;
    let more = file.take(1).read_to_end(&mut Vec::new());
    if more.map_err(|error| io_error(path.as_str(), error))? > 0 {
        return Err(VerifyError::Changed {
            file: path.clone(),
            expected: entry.size,
            grew: true,
        });
    }
    compare_digest(bytes, found, path, entry)
}

/// Reads `size` bytes and hashes them in the same pass.
pub(super) fn read_and_hash(
    file: &mut impl Read,
    path: &FilePath,
    size: u64,
) -> Result<(Vec<u8>, Digest), VerifyError> {
    let mut bytes = Vec::new();
    let room = usize::try_from(size).ok();
    // The allocation is bounded. Each caller has compared `size` with the length on disk, or runs
    // in the vetting child, under a memory limit.
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

/// Returns `bytes` if `found` is the digest in `entry`, otherwise an error.
pub(super) fn compare_digest<T>(
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], promised: &[u8]) -> Result<Vec<u8>, VerifyError> {
        let entry = FileEntry {
            size: promised.len() as u64,
            sha256: Digest::of(promised),
        };
        read_exactly(bytes, &"model.onnx".parse().unwrap(), &entry)
    }

    #[test]
    fn read_exactly_spans_chunks() {
        let chunk = usize::try_from(CHUNK).unwrap();
        for length in [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk + 7] {
            let bytes: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            assert_eq!(read(&bytes, &bytes).unwrap(), bytes);
        }
    }

    #[test]
    fn read_exactly_refuses_a_file_that_changes() {
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
