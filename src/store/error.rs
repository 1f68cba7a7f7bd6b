//! Why a version on disk is refused.

use std::io;

use thiserror::Error;

use crate::manifest::{FilePath, Manifest, ManifestError};
use crate::{Digest, ModelName, Reason, Version};

/// The option of the command line that names a directory whose links are followed.
pub(super) const LINKS_OPTION: &str = "--follow-links-under";

/// Why a version on disk is refused. The message names neither the model nor the version: the
/// caller adds both.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The directory of the version does not exist.
    #[error("the version does not exist")]
    NoVersion,
    /// The version's directory has no manifest.
    #[error(
        "the version has no {}, and unverified versions are not allowed",
        Manifest::FILE_NAME
    )]
    NoManifest,
    /// The version has no manifest, and its model file is ambiguous.
    #[error("no manifest, and neither model.onnx nor exactly one *.onnx file")]
    NoEntry,
    /// The manifest is longer than [`Manifest::MAX_BYTES`].
    #[error(
        "{}: expected at most {limit} bytes, found {found}",
        Manifest::FILE_NAME
    )]
    ManifestTooLarge {
        /// The limit in bytes.
        limit: u64,
        /// The length of the manifest in bytes.
        found: u64,
    },
    /// The manifest is invalid.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest names another model or another version than the directory.
    #[error(
        "{} is of {found_model} {found_version}, expected {expected_model} {expected_version}",
        Manifest::FILE_NAME
    )]
    ForeignManifest {
        /// The model that the directory belongs to.
        expected_model: ModelName,
        /// The version that the directory belongs to.
        expected_version: Version,
        /// The model that the manifest names.
        found_model: ModelName,
        /// The version that the manifest names.
        found_version: Version,
    },
    /// A file that the manifest lists does not exist.
    #[error("{file}: the file does not exist")]
    FileMissing {
        /// The path of the file in the manifest.
        file: FilePath,
    },
    /// A version without a manifest has more files than [`Manifest::MAX_FILES`].
    #[error("expected at most {} files, found more", Manifest::MAX_FILES)]
    TooManyFiles,
    /// A symlink leads to the version or to a file of it, and must not be followed. See
    /// [`Store::follow_links_under`](crate::Store::follow_links_under).
    #[error(
        "{link} is a symlink to {target}, which is in no directory whose links are followed: \
         name one with {}",
        LINKS_OPTION
    )]
    LinkNotAllowed {
        /// The path of the symlink.
        link: String,
        /// The target of the symlink, as the symlink names it.
        target: String,
    },
    /// A file of the version is a pipe, a directory or the like.
    #[error("{file}: expected a regular file, found {found}")]
    NotRegular {
        /// The path of the entry, for display.
        file: String,
        /// The type of the entry, in words.
        found: &'static str,
    },
    /// The file has another length than the manifest states. Its content was not read.
    #[error("{file}: expected {expected} bytes, found {found}")]
    SizeMismatch {
        /// The path of the file in the manifest.
        file: FilePath,
        /// The length in the manifest, in bytes.
        expected: u64,
        /// The length on disk, in bytes.
        found: u64,
    },
    /// The file shrank or grew while it was read.
    #[error("{file}: the file changed while it was read: expected {expected} bytes, found {}", if *.grew { "more" } else { "fewer" })]
    Changed {
        /// The path of the file in the manifest.
        file: FilePath,
        /// The length in bytes that the manifest states, and that the file had when it was opened.
        expected: u64,
        /// True if the file grew, false if it shrank.
        grew: bool,
    },
    /// The bytes have another digest than the manifest states.
    #[error("{file}: expected SHA-256 {expected}, found {found}")]
    DigestMismatch {
        /// The path of the file in the manifest.
        file: FilePath,
        /// The digest in the manifest.
        expected: Digest,
        /// The digest of the bytes on disk.
        found: Digest,
    },
    /// The memory for the file could not be allocated.
    #[error("{file}: cannot allocate {size} bytes")]
    OutOfMemory {
        /// The path of the file in the manifest.
        file: FilePath,
        /// The length of the file in bytes.
        size: u64,
    },
    /// A system call failed.
    #[error("{file}: {source}")]
    Io {
        /// The path of the file or directory, for display.
        file: String,
        /// The operating system's error.
        source: io::Error,
    },
}

impl VerifyError {
    /// The reason code of this error.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoVersion | Self::FileMissing { .. } => Reason::ModelMissing,
            Self::NoManifest | Self::NoEntry => Reason::Unverified,
            Self::LinkNotAllowed { .. } => Reason::LinkNotAllowed,
            Self::OutOfMemory { .. } | Self::Io { .. } => Reason::ModelUnreadable,
            Self::ManifestTooLarge { .. }
            | Self::Manifest(_)
            | Self::ForeignManifest { .. }
            | Self::TooManyFiles
            | Self::NotRegular { .. }
            | Self::SizeMismatch { .. }
            | Self::Changed { .. }
            | Self::DigestMismatch { .. } => Reason::ModelCorrupt,
        }
    }

    /// The path of the file concerned, relative to the version's directory. `None` if the error
    /// concerns no single file.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::NoVersion | Self::NoEntry | Self::TooManyFiles => None,
            Self::NoManifest
            | Self::ManifestTooLarge { .. }
            | Self::Manifest(_)
            | Self::ForeignManifest { .. } => Some(Manifest::FILE_NAME),
            Self::FileMissing { file }
            | Self::SizeMismatch { file, .. }
            | Self::Changed { file, .. }
            | Self::DigestMismatch { file, .. }
            | Self::OutOfMemory { file, .. } => Some(file.as_str()),
            Self::LinkNotAllowed { link: file, .. }
            | Self::NotRegular { file, .. }
            | Self::Io { file, .. } => Some(file),
        }
    }

    /// The expected and the found value in short words; `None` if the error has no such pair.
    pub fn expected_and_found(&self) -> Option<(String, String)> {
        match self {
            Self::ManifestTooLarge { limit, found } => {
                Some((format!("at most {limit} bytes"), format!("{found} bytes")))
            }
            Self::ForeignManifest {
                expected_model,
                expected_version,
                found_model,
                found_version,
            } => Some((
                format!("{expected_model} {expected_version}"),
                format!("{found_model} {found_version}"),
            )),
            Self::NotRegular { found, .. } => {
                Some(("a regular file".to_owned(), (*found).to_owned()))
            }
            Self::SizeMismatch {
                expected, found, ..
            } => Some((format!("{expected} bytes"), format!("{found} bytes"))),
            Self::Changed { expected, grew, .. } => Some((
                format!("{expected} bytes"),
                (if *grew { "more" } else { "fewer" }).to_owned(),
            )),
            Self::DigestMismatch {
                expected, found, ..
            } => Some((expected.to_string(), found.to_string())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Hasher;

    #[test]
    fn verify_error_has_short_expected_and_found() {
        let file: FilePath = "a".parse().unwrap();
        let (expected, found) = (Hasher::new().finish(), Digest::of(b"other"));
        let cases = [
            (
                VerifyError::ManifestTooLarge {
                    limit: 10,
                    found: 11,
                },
                Some(("at most 10 bytes".to_owned(), "11 bytes".to_owned())),
            ),
            (
                VerifyError::ForeignManifest {
                    expected_model: "m".parse().unwrap(),
                    expected_version: Version::FIRST,
                    found_model: "n".parse().unwrap(),
                    found_version: Version::new(7).unwrap(),
                },
                Some(("m 1".to_owned(), "n 7".to_owned())),
            ),
            (
                VerifyError::NotRegular {
                    file: "a".to_owned(),
                    found: "a directory",
                },
                Some(("a regular file".to_owned(), "a directory".to_owned())),
            ),
            (
                VerifyError::SizeMismatch {
                    file: file.clone(),
                    expected: 1,
                    found: 2,
                },
                Some(("1 bytes".to_owned(), "2 bytes".to_owned())),
            ),
            (
                VerifyError::Changed {
                    file: file.clone(),
                    expected: 1,
                    grew: true,
                },
                Some(("1 bytes".to_owned(), "more".to_owned())),
            ),
            (
                VerifyError::Changed {
                    file: file.clone(),
                    expected: 1,
                    grew: false,
                },
                Some(("1 bytes".to_owned(), "fewer".to_owned())),
            ),
            (
                VerifyError::DigestMismatch {
                    file: file.clone(),
                    expected,
                    found,
                },
                Some((expected.to_string(), found.to_string())),
            ),
            (VerifyError::FileMissing { file }, None),
        ];
        for (error, words) in cases {
            assert_eq!(error.expected_and_found(), words, "{error}");
        }
    }
}
