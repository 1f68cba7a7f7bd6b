//! Detects changes on disk cheaply, from metadata.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::{IgnoredEntry, Listing, Quarantine, Store};
use crate::manifest::{MAX_DEPTH, Manifest};
use crate::{ModelName, Version};

/// The metadata of a model's directory: the versions, the quarantines, and the state of each file.
///
/// The state of a file is its size and modification time; on Unix also its inode, change time and
/// mode.
// Equal fingerprints do not prove equal bytes. Two writes within one tick of the file system's
// clock can leave the same metadata. So every load verifies all bytes, and a bad version is retried
// even if nothing changes on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelFingerprint {
    pub(crate) versions: BTreeMap<Version, VersionFingerprint>,
    pub(crate) quarantined: BTreeMap<Version, Quarantine>,
    pub(crate) ignored: Vec<IgnoredEntry>,
}

/// The part of a [`ModelFingerprint`] that concerns one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VersionFingerprint(Vec<(String, Option<FileStamp>)>);

type FileStamp = (bool, u64, Option<SystemTime>, [i64; 4]);

impl Store {
    /// Takes the fingerprint of a model. A missing directory counts as a model without versions.
    pub(crate) fn fingerprint(&self, model: &ModelName) -> io::Result<ModelFingerprint> {
        let Listing { entries, ignored } = match self.versions(model) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(ModelFingerprint {
                    versions: BTreeMap::new(),
                    quarantined: BTreeMap::new(),
                    ignored: Vec::new(),
                });
            }
            listing => listing?,
        };
        let of_version = |version| {
            (
                version,
                VersionFingerprint::of(&self.version_directory(model, version)),
            )
        };
        let held = |&version: &Version| Some((version, self.quarantined(model, version)?));
        Ok(ModelFingerprint {
            quarantined: entries.iter().filter_map(held).collect(),
            versions: entries.into_iter().map(of_version).collect(),
            ignored,
        })
    }
}

impl VersionFingerprint {
    /// Takes the fingerprint of a version. Includes unreadable entries, so the fingerprint changes
    /// when an entry becomes readable.
    fn of(directory: &Path) -> Self {
        let mut found = Vec::new();
        let mut directories = vec![(directory.to_owned(), String::new(), 0)];
        while let Some((directory, prefix, depth)) = directories.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                // Stops at one entry above the limit: that entry already shows that the version has
                // too many entries.
                if found.len() > 2 * Manifest::MAX_FILES {
                    break;
                }
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                let metadata = entry.metadata().ok();
                if depth < MAX_DEPTH && metadata.as_ref().is_some_and(Metadata::is_dir) {
                    directories.push((entry.path(), format!("{name}/"), depth + 1));
                }
                found.push((name, metadata.map(|metadata| file_stamp(&metadata))));
            }
        }
        found.sort();
        Self(found)
    }
}

fn file_stamp(metadata: &Metadata) -> FileStamp {
    #[cfg(unix)]
    let more = {
        use std::os::unix::fs::MetadataExt;
        [
            metadata.ino().cast_signed(),
            metadata.ctime(),
            metadata.ctime_nsec(),
            metadata.mode().into(),
        ]
    };
    #[cfg(not(unix))]
    let more = [0; 4];
    (
        metadata.is_file(),
        metadata.len(),
        metadata.modified().ok(),
        more,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::models::{COLE_KRIPKE, Models};

    fn model() -> ModelName {
        "cole_kripke".parse().unwrap()
    }

    #[test]
    fn fingerprint_changes_with_every_change_on_disk() {
        let models = Models::cole_kripke();
        let sign = || models.store.fingerprint(&model()).unwrap();
        let mut before = sign();
        assert_eq!(before, sign());
        assert_eq!(before.versions.len(), 1);
        let mut changed = |what: &str| {
            let now = sign();
            assert_ne!(before, now, "{what}");
            before = now;
        };
        models.publish("cole_kripke", COLE_KRIPKE);
        changed("a new version");
        fs::write(models.path("1/model.onnx"), "shorter").unwrap();
        changed("a length");
        fs::create_dir(models.path("1/directory")).unwrap();
        changed("a directory");
        fs::write(models.path("1/directory/file"), "").unwrap();
        changed("a file in a directory");
        fs::create_dir(models.path("01")).unwrap();
        changed("a entry");
        models
            .store
            .quarantine(&model(), Version::FIRST, "why")
            .unwrap();
        changed("a quarantine");
        fs::remove_dir_all(models.path("2")).unwrap();
        changed("a version that is gone");
        assert_eq!(before.quarantined.len(), 1);
        assert_eq!(before.ignored.len(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn fingerprint_includes_permissions_and_times() {
        use std::os::unix::fs::PermissionsExt;
        let models = Models::cole_kripke();
        let path = models.path("1/model.onnx");
        let stamp = || file_stamp(&fs::metadata(&path).unwrap());
        let before = stamp();
        assert_eq!((before.0, before.1), (true, COLE_KRIPKE.len() as u64));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        let after = stamp();
        assert_eq!(before.2, after.2);
        assert_ne!(before.3, after.3);
        let file = fs::File::open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(stamp().2, Some(SystemTime::UNIX_EPOCH));
    }

    #[test]
    fn fingerprint_of_a_missing_model_is_empty() {
        let models = Models::empty();
        let fingerprint = models.store.fingerprint(&model()).unwrap();
        assert!(fingerprint.versions.is_empty());
        fs::write(models.root().join("cole_kripke"), "a file").unwrap();
        assert!(models.store.fingerprint(&model()).is_err());
    }

    #[test]
    fn fingerprint_limits_depth_and_number_of_entries() {
        let dir = tempfile::tempdir().unwrap();
        let of = || VersionFingerprint::of(dir.path());
        let mut deep = dir.path().to_owned();
        for depth in 0..=MAX_DEPTH {
            deep.push(depth.to_string());
        }
        fs::create_dir_all(&deep).unwrap();
        let before = of();
        fs::write(deep.join("file"), "").unwrap();
        assert_eq!(
            before.0.len(),
            of().0.len(),
            "a file deeper than any that is served"
        );
        fs::write(deep.parent().unwrap().join("file"), "").unwrap();
        assert_eq!(of().0.len(), before.0.len() + 1);

        let crowd = tempfile::tempdir().unwrap();
        for number in 0..2 * Manifest::MAX_FILES + 10 {
            fs::write(crowd.path().join(number.to_string()), "").unwrap();
        }
        let found = VersionFingerprint::of(crowd.path());
        assert_eq!(found.0.len(), 2 * Manifest::MAX_FILES + 1);
        assert!(found.0.is_sorted());
    }
}
