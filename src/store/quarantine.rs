//! Versions that are held back: a marker beside the version, never a deletion.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::Store;
use super::hidden::Hidden;
use super::opening::open_plain;
use super::publish::sync;
use crate::manifest::{Manifest, Timestamp};
use crate::sanitize::sanitize_for_log;
use crate::{Digest, ModelName, Reason, Version};

/// How the name of a marker ends, after the number of its version.
const SUFFIX: &str = ".quarantine.json";

/// A marker is a few lines: a file that is longer is none.
const MAX_BYTES: u64 = 64 << 10;

/// Why a version is held back: the content of the file `N.quarantine.json` beside the folder of version `N`.
///
/// ```json
/// {
///   "cause": "incompatible",
///   "detail": "the runtime cannot load the model: …",
///   "since": "2026-01-31T09:30:00Z",
///   "manifest": "8d4c…",
///   "release": "0.1.0"
/// }
/// ```
///
/// A marker outlives the server that has written it. It is lifted by [`Store::release`], which is the operator's, and by
/// itself as soon as its cause is gone: see [`QuarantineCause`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    cause: QuarantineCause,
    detail: String,
    since: Timestamp,
    /// The digest of the manifest that was judged, in the form in which it is written; none when there was none.
    manifest: Option<Digest>,
    /// The release of the server that judged it: the next may have a runtime that can do more.
    release: String,
}

/// Why a version is held back, and so until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuarantineCause {
    /// Its bytes are not what its manifest promises. It is read again now and then, and lifted when they are.
    Corrupt,
    /// Its bytes are what was promised, and it cannot be served or is harmful. It is not loaded again until its manifest
    /// changes or another release of the server judges it: the same bytes would fail again.
    Incompatible,
    /// The operator has withdrawn it. Only the operator gives it back.
    Operator,
}

impl Quarantine {
    /// What it is held back for.
    pub fn cause(&self) -> QuarantineCause {
        self.cause
    }

    /// The cause in a sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Since when, in RFC 3339 form, in UTC.
    pub fn since(&self) -> &str {
        self.since.as_str()
    }

    pub(crate) fn new(cause: QuarantineCause, detail: &str, manifest: Option<&Manifest>) -> Self {
        Self {
            cause,
            detail: sanitize_for_log(detail),
            since: Timestamp::at(SystemTime::now()),
            manifest: manifest.map(fingerprint),
            release: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// A marker that cannot be believed holds all the same: why it is there is not known, and that it is there is.
    fn unreadable(why: impl std::fmt::Display) -> Self {
        let detail = sanitize_for_log(format_args!(
            "the marker of its quarantine is no such: {why}"
        ));
        Self {
            since: Timestamp::at(SystemTime::UNIX_EPOCH),
            ..Self::new(QuarantineCause::Operator, &detail, None)
        }
    }

    /// Whether a version with this manifest would only fail again, as far as this release can tell.
    pub(crate) fn still_holds(&self, manifest: &Manifest) -> bool {
        match self.cause {
            QuarantineCause::Corrupt => false,
            QuarantineCause::Incompatible => {
                self.release == env!("CARGO_PKG_VERSION")
                    && self.manifest == Some(fingerprint(manifest))
            }
            QuarantineCause::Operator => true,
        }
    }

    /// Whether it says the same as another, except since when.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        (self.cause, &self.detail, self.manifest, &self.release)
            == (other.cause, &other.detail, other.manifest, &other.release)
    }
}

impl QuarantineCause {
    /// The word, in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Incompatible => "incompatible",
            Self::Operator => "operator",
        }
    }

    /// The reason under which a version is refused for it; none when it is not refused but withdrawn.
    pub(crate) fn reason(self) -> Option<Reason> {
        match self {
            Self::Corrupt => Some(Reason::ModelCorrupt),
            Self::Incompatible => Some(Reason::ModelIncompatible),
            Self::Operator => None,
        }
    }
}

fn fingerprint(manifest: &Manifest) -> Digest {
    Digest::of(manifest.to_json().as_bytes())
}

impl Store {
    /// Holds a version back in the operator's name, until [`release`](Self::release). A server that watches the store
    /// stops serving it as soon as an older version can take its place.
    ///
    /// # Errors
    ///
    /// When the marker cannot be written, or there is no such version.
    pub fn quarantine(
        &self,
        model: &ModelName,
        version: Version,
        detail: &str,
    ) -> io::Result<Quarantine> {
        fs::symlink_metadata(self.version_folder(model, version))?;
        let manifest = self.manifest(model, version).ok();
        let marker = Quarantine::new(QuarantineCause::Operator, detail, manifest.as_ref());
        self.mark(model, version, &marker)?;
        Ok(marker)
    }

    /// Why a version is held back; none when it is not. A marker that cannot be read counts as the operator's.
    pub fn quarantined(&self, model: &ModelName, version: Version) -> Option<Quarantine> {
        let path = self.marker(model, version);
        let file = match open_plain(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(Quarantine::unreadable(error)),
        };
        let mut json = Vec::new();
        if let Err(error) = file.take(MAX_BYTES).read_to_end(&mut json) {
            return Some(Quarantine::unreadable(error));
        }
        Some(serde_json::from_slice(&json).unwrap_or_else(Quarantine::unreadable))
    }

    /// Ends the quarantine of a version; tells whether there was one.
    ///
    /// # Errors
    ///
    /// When the marker cannot be removed.
    pub fn release(&self, model: &ModelName, version: Version) -> io::Result<bool> {
        match fs::remove_file(self.marker(model, version)) {
            Ok(()) => sync(&self.model_folder(model)).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes a marker: in a hidden folder, durable, then renamed into place, so that half a marker is never seen.
    pub(crate) fn mark(
        &self,
        model: &ModelName,
        version: Version,
        marker: &Quarantine,
    ) -> io::Result<()> {
        // What others have left behind is no reason not to hold something back.
        let _ = self.clean();
        let hidden = Hidden::create(&self.root, "mark")?;
        let beside = hidden.path().join("marker");
        let mut json = serde_json::to_vec_pretty(marker)?;
        json.push(b'\n');
        let mut file = File::create_new(&beside)?;
        file.write_all(&json)?;
        file.sync_all()?;
        fs::rename(&beside, self.marker(model, version))?;
        sync(&self.model_folder(model))
    }

    /// Removes the markers of versions that are gone: a removal that was killed may have left one, and it must not hold back another version of
    /// the same number.
    pub(super) fn clean_markers(&self, model: &ModelName) -> io::Result<usize> {
        let mut removed = 0;
        for entry in fs::read_dir(self.model_folder(model))? {
            let name = entry?.file_name();
            let version = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            let Some(version) = version.and_then(|version| version.parse().ok()) else {
                continue;
            };
            let folder = fs::symlink_metadata(self.version_folder(model, version));
            if folder.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                removed += usize::from(self.release(model, version)?);
            }
        }
        Ok(removed)
    }

    pub(super) fn marker(&self, model: &ModelName, version: Version) -> PathBuf {
        self.model_folder(model).join(format!("{version}{SUFFIX}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Source;
    use std::collections::BTreeMap;

    /// A store with version 1 of a model.
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
    fn a_marker_says_what_was_told_until_it_is_lifted() {
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

    /// What stands there and is no marker, whatever it is.
    #[test]
    fn a_marker_that_cannot_be_read_counts_as_the_operators() {
        let (_dir, store, model, _) = store();
        let marker = store.marker(&model, Version::FIRST);
        let told = || store.quarantined(&model, Version::FIRST).unwrap();
        fs::create_dir(&marker).unwrap();
        let folder = told();
        assert!(store.release(&model, Version::FIRST).is_err());
        fs::remove_dir(&marker).unwrap();
        fs::write(&marker, "no JSON").unwrap();
        for found in [folder, told()] {
            assert_eq!(found.cause(), QuarantineCause::Operator);
            assert!(found.detail().contains("no such"), "{}", found.detail());
            assert_eq!(found.since(), "1970-01-01T00:00:00Z");
        }
        // As long as one may be, and longer.
        let json = serde_json::to_vec(&Quarantine::new(QuarantineCause::Corrupt, "rot", None));
        let mut json = json.unwrap();
        json.resize(MAX_BYTES as usize, b' ');
        assert_eq!(MAX_BYTES, 65_536);
        fs::write(&marker, &json).unwrap();
        assert_eq!(told().cause(), QuarantineCause::Corrupt);
        json.insert(0, b' ');
        *json.last_mut().unwrap() = b'x';
        fs::write(&marker, &json).unwrap();
        assert_eq!(
            told().cause(),
            QuarantineCause::Corrupt,
            "the end is not read"
        );
    }

    #[test]
    fn what_was_judged_holds_for_the_same_bytes_and_the_same_release() {
        let (_dir, store, model, manifest) = store();
        let entry: crate::FilePath = "model.onnx".parse().unwrap();
        let files = BTreeMap::from([(entry.clone(), Source::Bytes(b"other".to_vec()))]);
        let other = store.publish(&model, &entry, &files).unwrap();
        let judged = |cause| Quarantine::new(cause, "why", Some(&manifest));
        let incompatible = judged(QuarantineCause::Incompatible);
        assert!(incompatible.still_holds(&manifest));
        assert!(!incompatible.still_holds(&other));
        let by_another = Quarantine {
            release: "0.0.0".to_owned(),
            ..incompatible.clone()
        };
        assert!(!by_another.still_holds(&manifest));
        assert!(!judged(QuarantineCause::Corrupt).still_holds(&manifest));
        assert!(judged(QuarantineCause::Operator).still_holds(&other));

        let later = Quarantine {
            since: Timestamp::at(SystemTime::UNIX_EPOCH),
            ..incompatible.clone()
        };
        assert!(incompatible.says_the_same(&later));
        assert!(!incompatible.says_the_same(&by_another));
        assert!(!incompatible.says_the_same(&judged(QuarantineCause::Corrupt)));
    }

    #[test]
    fn causes_have_words_and_reasons() {
        use QuarantineCause::{Corrupt, Incompatible, Operator};
        let told = [Corrupt, Incompatible, Operator].map(|cause| (cause.as_str(), cause.reason()));
        assert_eq!(
            told,
            [
                ("corrupt", Some(Reason::ModelCorrupt)),
                ("incompatible", Some(Reason::ModelIncompatible)),
                ("operator", None),
            ]
        );
    }
}
