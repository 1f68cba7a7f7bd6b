//! Detects changes on disk cheaply, from metadata.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::SystemTime;

use super::listing::list_versions;
use super::version_directory::VersionDirectory;
use super::walk::{EntryKind, Walk, WalkError};
use super::{IgnoredEntry, Listing, Quarantine, Store};
use crate::manifest::{FilePath, MAX_DEPTH, Manifest};
use crate::{ModelName, Version};

/// The number of entries of a version up to which a fingerprint is complete.
const MAX_ENTRIES: usize = 2 * Manifest::MAX_FILES;

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
        let missing = ModelFingerprint {
            versions: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            ignored: Vec::new(),
        };
        let walk = match Walk::new(&self.root, &self.links) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(missing),
            walk => walk?,
        };
        let place = match walk.directory(&[model.as_str()]) {
            Err(WalkError::NotFound) => return Ok(missing),
            place => place?,
        };
        let Listing { entries, ignored } = list_versions(&walk, &place)?;
        let of_version = |version: Version| {
            let directory = self.find_version(model, version);
            let fingerprint = match directory {
                Ok(directory) => VersionFingerprint::of(&directory),
                // The fingerprint changes when the directory can be found.
                Err(error) => VersionFingerprint(vec![(error.to_string(), None)]),
            };
            (version, fingerprint)
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
    /// when an entry becomes readable. The state of a symlink is that of its target, if the symlink
    /// is followed.
    pub(super) fn of(directory: &VersionDirectory) -> Self {
        let walk = directory.walk();
        let mut found = Vec::new();
        let mut directories = VecDeque::from([(directory.place().clone(), String::new(), 0)]);
        while let Some((place, prefix, depth)) = directories.pop_back() {
            for (name, kind) in place.entries().unwrap_or_default() {
                // Stops at one entry above the limit: that entry already shows that the version has
                // too many entries.
                if found.len() > MAX_ENTRIES {
                    break;
                }
                let shown = format!("{prefix}{}", name.to_string_lossy());
                let stamp = walk.stat(&place, &name).ok();
                let is_directory = match kind {
                    EntryKind::Directory => true,
                    EntryKind::Symlink => stamp
                        .as_ref()
                        .is_some_and(|found| EntryKind::of(found) == EntryKind::Directory),
                    EntryKind::File | EntryKind::Other => false,
                };
                if let (true, true, Ok(inside)) = (
                    depth < MAX_DEPTH,
                    is_directory,
                    walk.directory_in(&place, &[&name]),
                ) {
                    let next = (inside, format!("{shown}/"), depth + 1);
                    // A hidden directory rarely has files of the version, but can have many others.
                    match name.as_encoded_bytes().starts_with(b".") {
                        true => directories.push_front(next),
                        false => directories.push_back(next),
                    }
                }
                found.push((shown, stamp.map(|found| file_stamp(&found))));
            }
        }
        found.sort();
        Self(found)
    }

    /// The names of all entries, relative to the directory of the version.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// Whether both fingerprints agree on the manifest and on each file that it lists.
    pub(crate) fn agrees_on_listed(&self, other: &Self, manifest: &Manifest) -> bool {
        if self == other {
            return true;
        }
        let is_whole = |fingerprint: &Self| fingerprint.0.len() <= MAX_ENTRIES;
        let is_listed = |name: &str| {
            let path = name.parse().ok();
            let is_file = path.is_some_and(|path: FilePath| manifest.files().contains_key(&path));
            is_file || name == Manifest::FILE_NAME
        };
        let listed = |fingerprint: &Self| -> Vec<(String, Option<FileStamp>)> {
            let entries = fingerprint.0.iter();
            entries
                .filter(|(name, _)| is_listed(name))
                .cloned()
                .collect()
        };
        is_whole(self) && is_whole(other) && listed(self) == listed(other)
    }
}

#[cfg(unix)]
#[expect(
    clippy::unnecessary_cast,
    reason = "the types of the fields depend on the system"
)]
fn file_stamp(found: &rustix::fs::Stat) -> FileStamp {
    let (seconds, nanoseconds) = (found.st_mtime as i64, found.st_mtime_nsec as u64);
    let fraction = std::time::Duration::from_nanos(nanoseconds);
    let whole = std::time::Duration::from_secs(seconds.unsigned_abs());
    let modified = match seconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(whole),
        _ => SystemTime::UNIX_EPOCH.checked_sub(whole),
    };
    (
        EntryKind::of(found) == EntryKind::File,
        found.st_size as u64,
        modified.and_then(|time| time.checked_add(fraction)),
        [
            found.st_ino as i64,
            found.st_ctime as i64,
            found.st_ctime_nsec as i64,
            found.st_mode.into(),
        ],
    )
}

#[cfg(not(unix))]
fn file_stamp(found: &std::fs::Metadata) -> FileStamp {
    (found.is_file(), found.len(), found.modified().ok(), [0; 4])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

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
        let stamp = || file_stamp(&rustix::fs::stat(&path).unwrap());
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
        let of_directory =
            |path: &Path| VersionFingerprint::of(&VersionDirectory::at(path).unwrap());
        let of = || of_directory(dir.path());
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
        let found = of_directory(crowd.path());
        assert_eq!(found.0.len(), 2 * Manifest::MAX_FILES + 1);
        assert!(found.0.is_sorted());
    }
}
