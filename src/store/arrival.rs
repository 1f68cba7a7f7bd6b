//! Looks at a version that may still be copied into the store, without reading the version's files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Store, VerifyError};
use crate::manifest::{MAX_DEPTH, Manifest, ManifestError};
use crate::{ModelName, Version};

/// One look at a version: the state of its directory, and the first file that is not complete.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) inventory: Inventory,
    /// Why the version is not complete. `None` if the manifest is valid, and each file that it
    /// lists exists with the listed size.
    pub(crate) shortfall: Option<VerifyError>,
}

/// The names of the entries of a version, with the size and the time of the last change of each.
///
/// The time is the status change time on Unix, which no program can set. Elsewhere it is the later
/// one of the modification time and the creation time. A symlink counts as its target, and as
/// changed when either of them changed.
///
/// With a valid manifest, only the files of the manifest count, and files whose names contain the
/// name of such a file. Without one, all entries count.
// Programs that copy add to the name of a file until the copy is complete: `.model.onnx.Xa3b9c`,
// `model.onnx.part`. Any other file, such as a log that grows, must not hide a bad version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inventory(BTreeMap<String, Option<EntryStamp>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EntryStamp {
    size: u64,
    changed: Option<SystemTime>,
}

impl Store {
    /// Looks at a version. Reads its manifest, and no other file.
    pub(crate) fn look(&self, model: &ModelName, version: Version) -> Look {
        let directory = self.version_directory(model, version);
        // Takes the inventory first. So a change during this look is a difference at the next one.
        let mut inventory = Inventory::take(&directory);
        let shortfall = match self.manifest(model, version) {
            Err(error) => Some(error),
            Ok(manifest) => {
                inventory.keep_files_of(&manifest);
                shortfall(&directory, &manifest)
            }
        };
        Look {
            inventory,
            shortfall,
        }
    }

    /// Why a version seems to be still arriving, judged by the time of its last change. `None` if
    /// that change is older than `settle_time`, or if the files have the sizes in the manifest.
    ///
    /// A server knows more: it also observes whether a version changes.
    pub(crate) fn arriving(
        &self,
        model: &ModelName,
        version: Version,
        settle_time: Duration,
    ) -> Option<VerifyError> {
        let look = self.look(model, version);
        let is_recent = look.inventory.changed_within(settle_time);
        look.shortfall.filter(|error| is_recent && error.may_pass())
    }

    /// Whether a file of a version was changed less than `time` ago, by the system's clock.
    pub(crate) fn changed_within(
        &self,
        model: &ModelName,
        version: Version,
        time: Duration,
    ) -> bool {
        let look = self.look(model, version);
        look.inventory.changed_within(time)
    }
}

/// The first file of a manifest that is missing, or has another size.
fn shortfall(directory: &Path, manifest: &Manifest) -> Option<VerifyError> {
    manifest.files().iter().find_map(|(path, entry)| {
        let (file, expected) = (path.clone(), entry.size);
        match fs::metadata(directory.join(path.as_str())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some(VerifyError::FileMissing { file })
            }
            Ok(found) if found.is_file() && found.len() != expected => {
                let found = found.len();
                Some(VerifyError::SizeMismatch {
                    file,
                    expected,
                    found,
                })
            }
            // A load finds out why the file is unreadable, or not a file.
            _ => None,
        }
    })
}

impl Inventory {
    fn take(directory: &Path) -> Self {
        let stamp = |metadata: io::Result<Metadata>| metadata.ok().as_ref().map(EntryStamp::of);
        let mut found = BTreeMap::from([(String::new(), stamp(fs::metadata(directory)))]);
        let mut directories = vec![(directory.to_owned(), String::new(), 0)];
        while let Some((directory, prefix, depth)) = directories.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                if found.len() > 2 * Manifest::MAX_FILES {
                    break;
                }
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                let metadata = entry.metadata();
                if depth < MAX_DEPTH && metadata.as_ref().is_ok_and(Metadata::is_dir) {
                    directories.push((entry.path(), format!("{name}/"), depth + 1));
                }
                let is_link = metadata.as_ref().is_ok_and(Metadata::is_symlink);
                let mut stamped = stamp(metadata);
                if is_link && let Some(target) = stamp(fs::metadata(entry.path())) {
                    stamped = stamped.map(|link| link.behind(target));
                }
                found.insert(name, stamped);
            }
        }
        Self(found)
    }

    /// Drops the directories, and the files that have nothing to do with the manifest.
    fn keep_files_of(&mut self, manifest: &Manifest) {
        let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let listed = manifest.files().keys().map(|path| base(path.as_str()));
        let names: BTreeSet<String> = listed.chain([Manifest::FILE_NAME.to_owned()]).collect();
        self.0.retain(|path, _| {
            let base = base(path);
            names.iter().any(|name| base.contains(name.as_str()))
        });
    }

    /// The time since the last change of an entry, by the system's clock. `None` if the time of no
    /// entry is known, or if the last change lies in the future.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.newest()?.elapsed().ok()
    }

    /// Whether the last change is less than `time` away from now, in the past or in the future.
    fn changed_within(&self, time: Duration) -> bool {
        self.newest().is_some_and(|newest| {
            let distance = newest.elapsed().unwrap_or_else(|ahead| ahead.duration());
            distance < time
        })
    }

    fn newest(&self) -> Option<SystemTime> {
        let stamps = self.0.values().flatten();
        stamps.filter_map(|stamp| stamp.changed).max()
    }
}

impl EntryStamp {
    fn of(metadata: &Metadata) -> Self {
        // The size of a directory depends on the file system, and says nothing about its content.
        let size = if metadata.is_dir() { 0 } else { metadata.len() };
        let changed = change_time(metadata);
        Self { size, changed }
    }

    /// The stamp of a link to an entry with the stamp `target`.
    fn behind(self, target: Self) -> Self {
        Self {
            size: target.size,
            changed: self.changed.max(target.changed),
        }
    }
}

#[cfg(unix)]
fn change_time(metadata: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;

    let seconds = u64::try_from(metadata.ctime()).ok()?;
    let nanoseconds = u32::try_from(metadata.ctime_nsec()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

#[cfg(not(unix))]
fn change_time(metadata: &Metadata) -> Option<SystemTime> {
    metadata.modified().ok().max(metadata.created().ok())
}

impl VerifyError {
    /// Whether a copy that is still running can cause this error, so that the end of the copy can
    /// end the error.
    // A manifest that is whole and wrong, a symlink and a pipe stay wrong, however much follows.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::NoManifest
            | Self::NoEntry
            | Self::Manifest(ManifestError::Cut(_))
            | Self::FileMissing { .. }
            | Self::SizeMismatch { .. }
            | Self::Changed { .. }
            | Self::DigestMismatch { .. } => true,
            // A copy can rename or remove an entry between its listing and its opening. Some
            // programs set the permissions of a file last.
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::StaleNetworkFileHandle
            ),
            Self::NoVersion
            | Self::ManifestTooLarge { .. }
            | Self::Manifest(_)
            | Self::ForeignManifest { .. }
            | Self::NotRegular { .. }
            | Self::OutOfMemory { .. }
            | Self::TooManyFiles
            | Self::LinkNotAllowed { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::models::{COLE_KRIPKE, Models};

    const LONG: Duration = Duration::from_secs(60 * 60);

    fn arriving(models: &Models) -> Option<String> {
        let model = "cole_kripke".parse().unwrap();
        let found = models.store.arriving(&model, Version::FIRST, LONG);
        found.map(|error| error.to_string())
    }

    #[test]
    fn version_is_arriving_until_each_file_has_its_size() {
        let models = Models::cole_kripke();
        let (weights, manifest) = (models.path("1/model.onnx"), models.path("1/manifest.json"));
        let json = fs::read(&manifest).unwrap();
        assert_eq!(arriving(&models), None);
        fs::write(&weights, &COLE_KRIPKE[..10]).unwrap();
        let size = COLE_KRIPKE.len();
        assert_eq!(
            arriving(&models),
            Some(format!("model.onnx: expected {size} bytes, found 10"))
        );
        fs::remove_file(&weights).unwrap();
        assert_eq!(
            arriving(&models).as_deref(),
            Some("model.onnx: the file does not exist")
        );
        for cut in 0..json.trim_ascii_end().len() {
            fs::write(&manifest, &json[..cut]).unwrap();
            let found = arriving(&models).unwrap();
            assert!(found.starts_with("invalid manifest: EOF"), "{cut}: {found}");
            // Some programs allocate the whole file first, so its rest is zeros.
            let mut padded = json[..cut].to_vec();
            padded.resize(json.len(), 0);
            fs::write(&manifest, padded).unwrap();
            assert!(arriving(&models).is_some(), "padded after {cut}");
        }
        fs::remove_file(&manifest).unwrap();
        assert!(arriving(&models).unwrap().contains("no manifest.json"));
    }

    #[test]
    fn whole_manifest_that_is_wrong_is_not_arriving() {
        let models = Models::cole_kripke();
        let manifest = models.path("1/manifest.json");
        let json = fs::read_to_string(&manifest).unwrap();
        fs::remove_file(models.path("1/model.onnx")).unwrap();
        let too_large = " ".repeat(1 + usize::try_from(Manifest::MAX_BYTES).unwrap());
        for wrong in [
            json.replace("cole_kripke", "other"),
            json.replace("manifest_version\": 1", "manifest_version\": 2"),
            json.replace("\"format\"", "\"formats\""),
            format!("{json}}}"),
            "[]".to_owned(),
            "[".to_owned(),
            too_large,
        ] {
            fs::write(&manifest, wrong).unwrap();
            assert_eq!(arriving(&models), None);
        }
    }

    #[test]
    fn old_change_is_not_an_arrival() {
        let models = Models::cole_kripke();
        fs::remove_file(models.path("1/model.onnx")).unwrap();
        let model = "cole_kripke".parse().unwrap();
        let found = models
            .store
            .arriving(&model, Version::FIRST, Duration::ZERO);
        assert!(found.is_none());
    }

    #[test]
    #[cfg(unix)]
    fn inventory_sees_changes_behind_timestamps_that_are_set_back() {
        let models = Models::cole_kripke();
        let take = || Inventory::take(&models.path("1"));
        let weights = models.path("1/model.onnx");
        let before = take();
        assert_eq!(before, take());
        let file = fs::File::open(&weights).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(take().changed_within(LONG), "not the modification time");
        fs::rename(&weights, models.path("1/.model.onnx.Xa3b9c")).unwrap();
        assert_ne!(before, take());
        let missing = Inventory::take(&models.path("2"));
        assert_eq!((missing.age(), missing.changed_within(LONG)), (None, false));
    }

    /// A folder of links, such as a cache of downloads: the file behind the link is copied.
    #[test]
    #[cfg(unix)]
    fn inventory_sees_changes_of_the_target_of_a_link() {
        let models = Models::cole_kripke();
        let (weights, target) = (models.path("1/model.onnx"), models.path("elsewhere"));
        fs::rename(&weights, &target).unwrap();
        std::os::unix::fs::symlink(&target, &weights).unwrap();
        let model = "cole_kripke".parse().unwrap();
        let look = || models.store.look(&model, Version::FIRST);
        let whole = look();
        assert!(whole.shortfall.is_none());
        fs::write(&target, &COLE_KRIPKE[..10]).unwrap();
        let part = look();
        assert!(part.shortfall.is_some());
        assert_ne!(part.inventory, whole.inventory);
        fs::write(&target, &COLE_KRIPKE[..20]).unwrap();
        assert_ne!(look().inventory, part.inventory);
    }

    #[test]
    fn only_files_of_the_manifest_and_their_copies_count() {
        let models = Models::cole_kripke();
        let model = "cole_kripke".parse().unwrap();
        let look = || models.store.look(&model, Version::FIRST).inventory;
        let before = look();
        for stranger in ["notes.log", ".nfs0001", "README"] {
            fs::write(models.path(&format!("1/{stranger}")), "text").unwrap();
            assert_eq!(look(), before, "{stranger}");
        }
        for copy in [
            ".model.onnx.Xa3b9c",
            "model.onnx.part",
            ".manifest.json.q7Zb1d",
        ] {
            let path = models.path(&format!("1/{copy}"));
            fs::write(&path, "").unwrap();
            let begun = look();
            assert_ne!(begun, before, "{copy}");
            fs::write(&path, "more").unwrap();
            assert_ne!(look(), begun, "{copy}");
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(look(), before);
        fs::remove_file(models.path("1/manifest.json")).unwrap();
        let before = look();
        fs::write(models.path("1/other"), "").unwrap();
        assert_ne!(look(), before, "without a manifest, every entry counts");
    }

    #[test]
    fn change_in_the_far_future_is_not_recent() {
        let ahead = |seconds| {
            let changed = Some(SystemTime::now() + Duration::from_secs(seconds));
            Inventory(BTreeMap::from([(
                String::new(),
                Some(EntryStamp { size: 0, changed }),
            )]))
        };
        assert!(ahead(60).changed_within(LONG));
        assert!(!ahead(100 * 60 * 60).changed_within(LONG));
        assert_eq!(ahead(60).age(), None);
    }
}
