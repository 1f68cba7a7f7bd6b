//! The manifest of a version: its files, their sizes and their digests.

mod file_path;
mod file_table;
mod nonfinite_outputs;
mod timestamp;
mod trial;

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

pub(crate) use self::file_path::MAX_DEPTH;
pub use self::file_path::{FilePath, InvalidFilePath};
pub use self::nonfinite_outputs::NonFiniteOutputs;
pub(crate) use self::timestamp::Timestamp;
use crate::sanitize::sanitize_for_log;
use crate::{Digest, ModelName, RuntimeId, SecondOpinion, Version};

/// The manifest of one version: the file `manifest.json` in the version's directory.
///
/// ```json
/// {
///   "manifest_version": 1,
///   "model": "cole_kripke",
///   "version": 1,
///   "format": "onnx",
///   "entry": "model.onnx",
///   "created_at": "2026-01-31T09:30:00Z",
///   "probe": "probe.json",
///   "files": {
///     "model.onnx": { "size": 473, "sha256": "8d4c…" },
///     "probe.json": { "size": 312, "sha256": "51f0…" }
///   }
/// }
/// ```
///
/// `probe` is optional. It names the file of a [`Probe`](crate::Probe) that the version must pass.
/// `allow_nonfinite` is optional. It declares outputs that may hold NaN and infinite values: see
/// [`NonFiniteOutputs`]. `allow_random` is optional. It is `true` if the model may draw random
/// numbers.
///
/// `output_ranks`, `unprobed`, `runtime` and `second_opinion` are optional, too: see the methods of
/// these names.
///
/// Parsing treats a manifest as hostile input: it refuses unknown fields, duplicate fields and
/// duplicate files. Later additions to this file format will use another `manifest_version`.
// An unknown field could require a check that this release does not make, such as the check of a
// signature. If a field occurred twice, two readers could use different values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    manifest_version: u32,
    model: ModelName,
    version: Version,
    format: Format,
    entry: FilePath,
    created_at: Timestamp,
    /// Written only if the version has a probe, never as null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probe: Option<FilePath>,
    /// Written only if an output is declared, never as null.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    allow_nonfinite: Option<NonFiniteOutputs>,
    /// Written only if true.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    allow_random: bool,
    /// Written only if the declaration of an output is overridden.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "trial::deserialize_ranks"
    )]
    output_ranks: BTreeMap<String, Option<u8>>,
    /// Written only if the version is unprobed, never as null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unprobed: Option<String>,
    /// This member and the next are written only if known, never as null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runtime: Option<RuntimeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    second_opinion: Option<Box<SecondOpinion>>,
    #[serde(deserialize_with = "file_table::deserialize")]
    files: BTreeMap<FilePath, FileEntry>,
}

/// The entry for one file in the manifest of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FileEntry {
    /// The length of the file in bytes, at most [`Manifest::MAX_FILE_BYTES`].
    pub size: u64,
    /// The SHA-256 of the file's bytes.
    pub sha256: Digest,
}

/// The format of a model. The format determines the model runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// Open Neural Network Exchange.
    Onnx,
}

/// The reason why a manifest is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestError {
    /// The text is not JSON in the format of [`Manifest`].
    #[error("invalid manifest: {0}")]
    Syntax(String),
    /// The text ends before the JSON does, or contains zero bytes. So the manifest may still be
    /// written.
    #[error("invalid manifest: {0}")]
    Cut(String),
    /// The manifest has a `manifest_version` that this release does not read.
    #[error("unknown manifest_version: expected {expected}, found {found}")]
    UnknownVersion {
        /// The `manifest_version` that this release reads.
        expected: u32,
        /// The `manifest_version` of the manifest.
        found: u32,
    },
    /// The manifest's `files` do not include its `entry`.
    #[error("the entry {entry} is not among the files")]
    EntryNotListed {
        /// The entry that the manifest names.
        entry: FilePath,
    },
    /// The manifest's `files` do not include its `probe`, or the probe is also the `entry`.
    #[error("the probe {probe} is not among the files, or is the entry")]
    ProbeNotListed {
        /// The probe that the manifest names.
        probe: FilePath,
    },
    /// The size of a file exceeds [`Manifest::MAX_FILE_BYTES`].
    #[error("{file}: expected at most {limit} bytes, found {size}")]
    FileTooLarge {
        /// The path of the file.
        file: FilePath,
        /// The size of the file in the manifest, in bytes.
        size: u64,
        /// The maximum size of a file, in bytes.
        limit: u64,
    },
}

/// Deserializes a member that is present, and refuses `null`.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Whether the JSON contains a `[` outside of strings.
fn contains_array(json: &[u8]) -> bool {
    let (mut in_text, mut escaped) = (false, false);
    json.iter().any(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' => return !in_text,
            _ => {}
        }
        false
    })
}

impl FileEntry {
    /// Creates an entry for a file of `size` bytes with the digest `sha256`.
    pub fn new(size: u64, sha256: Digest) -> Self {
        Self { size, sha256 }
    }
}

impl Manifest {
    /// The path of the manifest in the version's directory. No other file may have this path.
    pub const FILE_NAME: &str = "manifest.json";
    /// The maximum length of a manifest in bytes.
    pub const MAX_BYTES: u64 = 1 << 20;
    /// The maximum number of files of a version.
    pub const MAX_FILES: usize = 1024;
    /// The maximum length of a file in bytes (64 GiB).
    pub const MAX_FILE_BYTES: u64 = 64 << 30;
    /// The `manifest_version` that this release writes and reads.
    pub const VERSION: u32 = 1;

    /// Creates a manifest for a version that is about to be published.
    ///
    /// # Errors
    ///
    /// [`ManifestError::EntryNotListed`] or [`ManifestError::FileTooLarge`].
    pub fn new(
        model: ModelName,
        version: Version,
        entry: FilePath,
        created_at: SystemTime,
        files: BTreeMap<FilePath, FileEntry>,
    ) -> Result<Self, ManifestError> {
        let created_at = Timestamp::at(created_at);
        let manifest = Self {
            manifest_version: Self::VERSION,
            model,
            version,
            format: Format::Onnx,
            entry,
            created_at,
            probe: None,
            allow_nonfinite: None,
            allow_random: false,
            output_ranks: BTreeMap::new(),
            unprobed: None,
            runtime: None,
            second_opinion: None,
            files,
        };
        manifest.check().map(|()| manifest)
    }

    /// Parses a manifest. The caller must limit the length of `json` to [`Manifest::MAX_BYTES`].
    ///
    /// # Errors
    ///
    /// See [`ManifestError`].
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        // Serde's derive also accepts an array in place of an object. A valid manifest contains no
        // array, so this check refuses every array.
        if contains_array(json) {
            let found = "expected objects only, found a list".to_owned();
            return Err(ManifestError::Syntax(found));
        }
        let manifest: Self = serde_json::from_slice(json).map_err(|error| {
            match error.is_eof() || (error.is_syntax() && json.contains(&0)) {
                true => ManifestError::Cut(sanitize_for_log(error)),
                false => ManifestError::Syntax(sanitize_for_log(error)),
            }
        })?;
        manifest.check().map(|()| manifest)
    }

    /// Formats the manifest as indented JSON with a final line break.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self)
            .expect("maps with string keys always serialize to JSON");
        json.push('\n');
        json
    }

    /// The model that the manifest names.
    pub fn model(&self) -> &ModelName {
        &self.model
    }

    /// The version that the manifest names.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The format of the model.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The path of the file that the model runtime opens first.
    pub fn entry(&self) -> &FilePath {
        &self.entry
    }

    /// The path of the probe's file, if the version has a probe.
    pub fn probe(&self) -> Option<&FilePath> {
        self.probe.as_ref()
    }

    /// The outputs that may hold NaN and infinite values; `None` if all outputs must be finite.
    pub fn allow_nonfinite(&self) -> Option<&NonFiniteOutputs> {
        self.allow_nonfinite.as_ref()
    }

    /// Whether the model may draw random numbers, so that no two answers need to be equal.
    pub fn allow_random(&self) -> bool {
        self.allow_random
    }

    /// The time of publication in RFC 3339 format, in UTC.
    pub fn created_at(&self) -> &str {
        self.created_at.as_str()
    }

    /// The size and digest of each file, by path.
    pub fn files(&self) -> &BTreeMap<FilePath, FileEntry> {
        &self.files
    }

    /// The digest of the entry file. This digest identifies the version in metrics and responses.
    pub fn digest(&self) -> Digest {
        self.files[&self.entry].sha256
    }

    /// The same manifest for another version.
    pub(crate) fn with_version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// The same manifest with a probe.
    pub(crate) fn with_probe(
        mut self,
        path: FilePath,
        file: FileEntry,
    ) -> Result<Self, ManifestError> {
        self.files.insert(path.clone(), file);
        self.probe = Some(path);
        self.check().map(|()| self)
    }

    /// The same manifest with a declaration of outputs that may hold NaN and infinite values.
    pub(crate) fn with_nonfinite(self, outputs: NonFiniteOutputs) -> Self {
        let is_empty = matches!(&outputs, NonFiniteOutputs::Named(names) if names.is_empty());
        Self {
            allow_nonfinite: (!is_empty).then_some(outputs),
            ..self
        }
    }

    /// The same manifest for a model that may draw random numbers.
    pub(crate) fn with_randomness(self) -> Self {
        Self {
            allow_random: true,
            ..self
        }
    }

    fn check(&self) -> Result<(), ManifestError> {
        if self.manifest_version != Self::VERSION {
            return Err(ManifestError::UnknownVersion {
                expected: Self::VERSION,
                found: self.manifest_version,
            });
        }
        if !self.files.contains_key(&self.entry) {
            return Err(ManifestError::EntryNotListed {
                entry: self.entry.clone(),
            });
        }
        if let Some(probe) = &self.probe
            && (!self.files.contains_key(probe) || *probe == self.entry)
        {
            return Err(ManifestError::ProbeNotListed {
                probe: probe.clone(),
            });
        }
        let too_large = self
            .files
            .iter()
            .find(|(_, entry)| entry.size > Self::MAX_FILE_BYTES);
        match too_large {
            Some((file, entry)) => Err(ManifestError::FileTooLarge {
                file: file.clone(),
                size: entry.size,
                limit: Self::MAX_FILE_BYTES,
            }),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Onnx => f.write_str("onnx"),
        }
    }
}

#[cfg(test)]
mod tests;
