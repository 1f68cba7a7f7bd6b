//! Quarantines versions with a marker file next to the version. Never deletes a version.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::Store;
use super::staging::StagingDir;
use super::sync::sync_directory;
use super::walk::{Walk, WalkError};
use crate::manifest::{Manifest, Timestamp};
use crate::sanitize::sanitize_for_log;
use crate::{Digest, ModelName, Reason, Version};

/// The suffix of a marker's name, after the version number.
pub(super) const MARKER_SUFFIX: &str = ".quarantine.json";

/// The maximum length of a marker in bytes. The rest of a longer marker is not read.
const MAX_BYTES: u64 = 64 << 10;

/// Why a version is quarantined: the content of `N.quarantine.json`, next to version `N`.
///
/// ```json
/// {
///   "cause": "incompatible",
///   "detail": "the runtime cannot load the model: …",
///   "since": "2026-01-31T09:30:00Z",
///   "manifest": "8d4c…",
///   "release": "0.1.0, rten 0.27.0"
/// }
/// ```
///
/// A marker outlives the server that wrote it. [`Store::release`] removes a marker. A server
/// removes a marker when the cause of the quarantine no longer applies: see [`QuarantineCause`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    cause: QuarantineCause,
    detail: String,
    since: Timestamp,
    /// The digest of the version's manifest as `Manifest::to_json` writes it; `None` if there was
    /// no valid manifest.
    manifest: Option<Digest>,
    /// The release of the server that judged the version, and its runtimes: others may be able to
    /// serve the version.
    release: String,
}

/// The cause of a quarantine, which decides when the quarantine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuarantineCause {
    /// The bytes differ from the manifest. Servers read the bytes again, and end the quarantine
    /// once the bytes match.
    Corrupt,
    /// The bytes match the manifest, but the version cannot be served or is harmful.
    ///
    /// Servers load the version again when the manifest has changed, or when a server of another
    /// release, or with other runtimes, finds the version. The quarantine ends if this load
    /// succeeds.
    // Loading the same bytes again would fail again, so servers do not retry.
    Incompatible,
    /// The operator has withdrawn the version. Only the operator can end the quarantine.
    Operator,
}

impl Quarantine {
    /// The cause of the quarantine.
    pub fn cause(&self) -> QuarantineCause {
        self.cause
    }

    /// The cause as a sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The start of the quarantine in RFC 3339 format, in UTC.
    pub fn since(&self) -> &str {
        self.since.as_str()
    }

    pub(crate) fn new(cause: QuarantineCause, detail: &str, manifest: Option<&Manifest>) -> Self {
        Self {
            cause,
            detail: sanitize_for_log(detail),
            since: Timestamp::at(SystemTime::now()),
            manifest: manifest.map(manifest_digest),
            release: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Names the release of the server that judged the version, and its runtimes.
    pub(crate) fn judged_by(self, release: String) -> Self {
        Self { release, ..self }
    }

    /// The quarantine for an unreadable marker. Counts as a quarantine by the operator, because the
    /// real cause is unknown.
    fn unreadable(why: impl std::fmt::Display) -> Self {
        let detail = sanitize_for_log(format_args!("invalid quarantine marker: {why}"));
        Self {
            since: Timestamp::at(SystemTime::UNIX_EPOCH),
            ..Self::new(QuarantineCause::Operator, &detail, None)
        }
    }

    /// Whether a server of this release, with its runtimes, keeps a version with this manifest
    /// quarantined, without another load attempt. Always false for a corrupt version, because its
    /// bytes are read again.
    pub(crate) fn applies_to(&self, manifest: &Manifest, release: &str) -> bool {
        match self.cause {
            QuarantineCause::Corrupt => false,
            QuarantineCause::Incompatible => {
                self.release == release && self.manifest == Some(manifest_digest(manifest))
            }
            QuarantineCause::Operator => true,
        }
    }

    /// Whether both quarantines are equal except for their start.
    pub(crate) fn equals_ignoring_time(&self, other: &Self) -> bool {
        (self.cause, &self.detail, self.manifest, &self.release)
            == (other.cause, &other.detail, other.manifest, &other.release)
    }
}

impl QuarantineCause {
    /// The cause as a word in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Incompatible => "incompatible",
            Self::Operator => "operator",
        }
    }

    /// The reason code of the version's refusal; `None` for a withdrawn version, which is not
    /// refused.
    pub(crate) fn reason(self) -> Option<Reason> {
        match self {
            Self::Corrupt => Some(Reason::ModelCorrupt),
            Self::Incompatible => Some(Reason::ModelIncompatible),
            Self::Operator => None,
        }
    }
}

fn manifest_digest(manifest: &Manifest) -> Digest {
    Digest::of(manifest.to_json().as_bytes())
}

impl Store {
    /// Quarantines a version in the operator's name, until [`release`](Self::release).
    ///
    /// A running server of this store stops serving the version once another version can replace
    /// it.
    ///
    /// # Errors
    ///
    /// When the version does not exist, or the marker cannot be written.
    pub fn quarantine(
        &self,
        model: &ModelName,
        version: Version,
        detail: &str,
    ) -> io::Result<Quarantine> {
        fs::symlink_metadata(self.version_directory(model, version))?;
        let manifest = self.manifest(model, version).ok();
        let marker = Quarantine::new(QuarantineCause::Operator, detail, manifest.as_ref());
        self.mark(model, version, &marker)?;
        Ok(marker)
    }

    /// Reads the quarantine of a version, if any. An unreadable marker counts as a quarantine by
    /// the operator.
    pub fn quarantined(&self, model: &ModelName, version: Version) -> Option<Quarantine> {
        let file = match self.open_marker(model, version) {
            Ok(file) => file?,
            Err(error) => return Some(Quarantine::unreadable(error)),
        };
        match file.metadata() {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Some(Quarantine::unreadable("not a regular file")),
            Err(error) => return Some(Quarantine::unreadable(error)),
        }
        let mut json = Vec::new();
        if let Err(error) = file.take(MAX_BYTES).read_to_end(&mut json) {
            return Some(Quarantine::unreadable(error));
        }
        Some(serde_json::from_slice(&json).unwrap_or_else(Quarantine::unreadable))
    }

    /// Ends the quarantine of a version; returns whether the version was quarantined.
    ///
    /// # Errors
    ///
    /// When the marker cannot be removed, or its removal cannot be synced.
    pub fn release(&self, model: &ModelName, version: Version) -> io::Result<bool> {
        self.refuse_linked(model)?;
        match fs::remove_file(self.marker_path(model, version)) {
            Ok(()) => sync_directory(&self.model_directory(model)).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes a marker atomically: stages and syncs it, then renames it into place.
    pub(crate) fn mark(
        &self,
        model: &ModelName,
        version: Version,
        marker: &Quarantine,
    ) -> io::Result<()> {
        self.refuse_linked(model)?;
        // A failure to remove leftovers must not prevent a quarantine.
        let _ = self.clean();
        let staging = StagingDir::create(&self.root, "mark")?;
        let staged = staging.path().join("marker");
        let mut json = serde_json::to_vec_pretty(marker)?;
        json.push(b'\n');
        let mut file = File::create_new(&staged)?;
        file.write_all(&json)?;
        file.sync_all()?;
        fs::rename(&staged, self.marker_path(model, version))?;
        sync_directory(&self.model_directory(model))
    }

    /// Opens the marker of a version, if there is one. Follows symlinks only where the files of a
    /// version may be reached through them.
    fn open_marker(&self, model: &ModelName, version: Version) -> io::Result<Option<File>> {
        let walk = match Walk::new(&self.root, &self.links) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            walk => walk?,
        };
        let place = match walk.directory(&[model.as_str()]) {
            // Such a model has no versions.
            Err(
                WalkError::NotFound | WalkError::NotDirectory | WalkError::LinkNotAllowed { .. },
            ) => return Ok(None),
            place => place?,
        };
        match walk.open(&place, &format!("{version}{MARKER_SUFFIX}")) {
            Err(WalkError::NotFound) => Ok(None),
            file => Ok(Some(file?)),
        }
    }

    /// Refuses to change a model whose directory is reached through a symlink.
    // Several models can share such a directory, and it need not belong to this store.
    pub(super) fn refuse_linked(&self, model: &ModelName) -> io::Result<()> {
        if self.links.is_empty() {
            return Ok(());
        }
        let walk = Walk::new(&self.root, &self.links)?;
        match walk.directory(&[model.as_str()]) {
            Ok(place) if place.is_linked() => {
                let why = "the directory of the model is a symlink: change the model at its target";
                Err(io::Error::other(why))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn marker_path(&self, model: &ModelName, version: Version) -> PathBuf {
        self.model_directory(model)
            .join(format!("{version}{MARKER_SUFFIX}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Source;
    use std::collections::BTreeMap;

    /// A store with version 1 of a model, and the manifest of that version.
    fn store() -> (tempfile::TempDir, Store, ModelName, Manifest) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let model: ModelName = "m".parse().unwrap();
        let entry: crate::FilePath = "model.onnx".parse().unwrap();
        let files = BTreeMap::from([(entry.clone(), Source::Bytes(b"abc".to_vec()))]);
        let manifest = store.publish(&model, &entry, &files).unwrap();
        (dir, store, model, manifest)
    }

    #[test]
    fn quarantine_lasts_until_its_release() {
        let (_dir, store, model, _) = store();
        assert_eq!(store.quarantined(&model, Version::FIRST), None);
        let made = store.quarantine(&model, Version::FIRST, "why").unwrap();
        let read = store.quarantined(&model, Version::FIRST).unwrap();
        assert_eq!(read, made);
        assert_eq!(
            (read.cause(), read.detail()),
            (QuarantineCause::Operator, "why")
        );
        let since: crate::manifest::Timestamp =
            serde_json::from_value(read.since().into()).unwrap();
        assert_eq!(since.as_str(), read.since());
        assert!(read.since() > "2026", "{}", read.since());
        assert!(store.release(&model, Version::FIRST).unwrap());
        assert!(!store.release(&model, Version::FIRST).unwrap());
        assert_eq!(store.quarantined(&model, Version::FIRST), None);
        let missing = store.quarantine(&model, Version::new(2).unwrap(), "why");
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// Puts a directory, then an invalid file, at the path of the marker.
    #[test]
    fn unreadable_marker_counts_as_the_operators() {
        let (_dir, store, model, _) = store();
        let marker = store.marker_path(&model, Version::FIRST);
        let quarantined = || store.quarantined(&model, Version::FIRST).unwrap();
        fs::create_dir(&marker).unwrap();
        let directory = quarantined();
        assert!(store.release(&model, Version::FIRST).is_err());
        fs::remove_dir(&marker).unwrap();
        fs::write(&marker, "no JSON").unwrap();
        for found in [directory, quarantined()] {
            assert_eq!(found.cause(), QuarantineCause::Operator);
            assert!(
                found.detail().contains("invalid quarantine marker"),
                "{}",
                found.detail()
            );
            assert_eq!(found.since(), "1970-01-01T00:00:00Z");
        }
        // The first marker has exactly the maximum length. The second marker is longer.
        let json = serde_json::to_vec(&Quarantine::new(QuarantineCause::Corrupt, "rot", None));
        let mut json = json.unwrap();
        json.resize(MAX_BYTES as usize, b' ');
        assert_eq!(MAX_BYTES, 65_536);
        fs::write(&marker, &json).unwrap();
        assert_eq!(quarantined().cause(), QuarantineCause::Corrupt);
        json.insert(0, b' ');
        *json.last_mut().unwrap() = b'x';
        fs::write(&marker, &json).unwrap();
        assert_eq!(
            quarantined().cause(),
            QuarantineCause::Corrupt,
            "the end is not read"
        );
    }

    #[test]
    fn quarantine_applies_to_the_same_manifest_and_release() {
        let (_dir, store, model, manifest) = store();
        let entry: crate::FilePath = "model.onnx".parse().unwrap();
        let files = BTreeMap::from([(entry.clone(), Source::Bytes(b"other".to_vec()))]);
        let other = store.publish(&model, &entry, &files).unwrap();
        let judged = |cause| Quarantine::new(cause, "why", Some(&manifest));
        let incompatible = judged(QuarantineCause::Incompatible);
        let release = env!("CARGO_PKG_VERSION");
        assert!(incompatible.applies_to(&manifest, release));
        assert!(!incompatible.applies_to(&other, release));
        let by_another = incompatible.clone().judged_by("0.0.0".to_owned());
        assert!(!by_another.applies_to(&manifest, release));
        assert!(!judged(QuarantineCause::Corrupt).applies_to(&manifest, release));
        assert!(judged(QuarantineCause::Operator).applies_to(&other, "0.0.0"));

        let later = Quarantine {
            since: Timestamp::at(SystemTime::UNIX_EPOCH),
            ..incompatible.clone()
        };
        assert!(incompatible.equals_ignoring_time(&later));
        assert!(!incompatible.equals_ignoring_time(&by_another));
        assert!(!incompatible.equals_ignoring_time(&judged(QuarantineCause::Corrupt)));
    }

    #[test]
    fn quarantine_causes_have_words_and_reasons() {
        use QuarantineCause::{Corrupt, Incompatible, Operator};
        let described =
            [Corrupt, Incompatible, Operator].map(|cause| (cause.as_str(), cause.reason()));
        assert_eq!(
            described,
            [
                ("corrupt", Some(Reason::ModelCorrupt)),
                ("incompatible", Some(Reason::ModelIncompatible)),
                ("operator", None),
            ]
        );
    }
}
