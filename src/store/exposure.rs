//! Finds the entries of a store that other users can change.

use std::fmt;

#[cfg(unix)]
use std::fs::{self, Metadata};
#[cfg(unix)]
use std::path::Path;

use super::Store;
use crate::ModelName;

/// An entry that a user other than root and the user of this process can change.
///
/// Such a user can replace a version together with its manifest, which then verifies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exposure {
    /// The path of the entry, relative to the directory of the store.
    pub(crate) path: String,
    /// Who can change the entry, and why.
    pub(crate) why: String,
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.why)
    }
}

/// Owners and modes exist on Unix only: elsewhere nothing is found.
#[cfg(not(unix))]
impl Store {
    pub(crate) fn exposed_root(&self) -> Option<Exposure> {
        None
    }

    pub(crate) fn exposures(&self, _: &ModelName) -> Vec<Exposure> {
        Vec::new()
    }
}

#[cfg(unix)]
impl Store {
    /// The exposure of the directory of the store itself.
    pub(crate) fn exposed_root(&self) -> Option<Exposure> {
        let path = self.root().display().to_string();
        let found = fs::metadata(self.root()).ok()?;
        exposure(path, &found)
    }

    /// The exposures of a model's directory, of its versions and of their files, sorted by path.
    ///
    /// Skips unreadable entries, hidden entries and entries next to the versions.
    pub(crate) fn exposures(&self, model: &ModelName) -> Vec<Exposure> {
        let directory = self.model_directory(model);
        let mut found = Vec::new();
        found.extend(exposure_of(&directory, model.as_str()));
        for version in self.versions(model).into_iter().flat_map(|all| all.entries) {
            let name = format!("{model}/{version}");
            let directory = self.version_directory(model, version);
            found.extend(exposure_of(&directory, &name));
            exposures_in(&directory, &name, 0, &mut found);
        }
        found.sort();
        found
    }
}

#[cfg(unix)]
fn exposures_in(directory: &Path, prefix: &str, depth: usize, found: &mut Vec<Exposure>) {
    use crate::manifest::{MAX_DEPTH, Manifest};

    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.take(2 * Manifest::MAX_FILES) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}/{name}");
        found.extend(exposure_of(&entry.path(), &name));
        if depth < MAX_DEPTH && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            exposures_in(&entry.path(), &name, depth + 1, found);
        }
    }
}

#[cfg(unix)]
fn exposure_of(path: &Path, name: &str) -> Option<Exposure> {
    exposure(name.to_owned(), &fs::symlink_metadata(path).ok()?)
}

#[cfg(unix)]
fn exposure(path: String, found: &Metadata) -> Option<Exposure> {
    use std::os::unix::fs::MetadataExt;

    const GROUP_WRITES: u32 = 0o020;
    const OTHERS_WRITE: u32 = 0o002;
    let own = rustix::process::geteuid().as_raw();
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    // The mode of a symlink has no effect.
    let writes = |bit| !found.is_symlink() && mode & bit != 0;
    let why = match owner {
        _ if writes(OTHERS_WRITE) => format!("every user can write it (mode {mode:04o})"),
        _ if writes(GROUP_WRITES) => {
            format!("its group {} can write it (mode {mode:04o})", found.gid())
        }
        0 => return None,
        owner if owner == own => return None,
        owner => format!("it belongs to user {owner}, neither root nor the own user {own}"),
    };
    Some(Exposure { path, why })
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;
    use crate::store::tests::models::Models;

    fn exposures(models: &Models) -> Vec<String> {
        let model = "cole_kripke".parse().unwrap();
        let found = models.store.exposures(&model);
        found.iter().map(ToString::to_string).collect()
    }

    /// Gives every entry a mode that only its owner can write, under any umask.
    fn closed() -> Models {
        let models = Models::cole_kripke();
        for (path, mode) in [
            ("", 0o755),
            ("1", 0o755),
            ("1/model.onnx", 0o644),
            ("1/manifest.json", 0o644),
        ] {
            set_mode(&models, path, mode);
        }
        models
    }

    fn set_mode(models: &Models, path: &str, mode: u32) {
        fs::set_permissions(models.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn entries_that_others_can_write_are_exposed() {
        let models = closed();
        assert_eq!(exposures(&models), [""; 0]);
        let group = fs::metadata(models.path("1")).unwrap();
        let group = std::os::unix::fs::MetadataExt::gid(&group);
        set_mode(&models, "1/model.onnx", 0o646);
        set_mode(&models, "1", 0o775);
        set_mode(&models, "", 0o1777);
        assert_eq!(
            exposures(&models),
            [
                "cole_kripke: every user can write it (mode 1777)".to_owned(),
                format!("cole_kripke/1: its group {group} can write it (mode 0775)"),
                "cole_kripke/1/model.onnx: every user can write it (mode 0646)".to_owned(),
            ]
        );
    }

    #[test]
    fn directory_of_the_store_is_exposed_by_its_mode() {
        let models = closed();
        fs::set_permissions(models.root(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(models.store.exposed_root(), None);
        fs::set_permissions(models.root(), fs::Permissions::from_mode(0o702)).unwrap();
        let found = models.store.exposed_root().unwrap();
        assert_eq!(found.why, "every user can write it (mode 0702)");
        assert_eq!(Store::new("/nowhere/at/all").exposed_root(), None);
    }

    /// Checks owners only as root, because only root can give a file away.
    #[test]
    fn entries_of_another_user_are_exposed() {
        let models = closed();
        let path = models.path("1/model.onnx");
        if chown(&path, Some(12_345), None).is_err() {
            return;
        }
        let found = exposures(&models);
        let [found] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(
            found.starts_with("cole_kripke/1/model.onnx: it belongs to user 12345"),
            "{found}"
        );
    }
}
