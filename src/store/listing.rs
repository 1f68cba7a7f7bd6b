//! Lists models and versions on disk.

use std::ffi::OsStr;
use std::io;

use super::Store;
use super::walk::{EntryKind, Place, Walk, WalkError};
use crate::sanitize::sanitize_for_log;
use crate::{ModelName, Version};

/// A directory that macOS adds to archives. Its name would be a valid model name.
const ARCHIVE_LEFTOVERS: &str = "__MACOSX";

/// The sorted entries of a directory that contains models or versions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing<T> {
    /// The valid entries.
    pub entries: Vec<T>,
    /// The ignored entries that look like models or versions.
    pub ignored: Vec<IgnoredEntry>,
}

/// An entry that is ignored but looks like a model or a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct IgnoredEntry {
    /// The name of the entry, for display.
    pub name: String,
    /// Why the entry is ignored.
    pub why: String,
}

impl Store {
    /// Lists the models of the store, sorted by name.
    ///
    /// Ignores files and hidden entries, such as the directories of running publications. A
    /// directory that cannot be a model becomes an [`IgnoredEntry`]. So does a symlink that [must
    /// not be followed](Self::follow_links_under).
    ///
    /// # Errors
    ///
    /// When the directory of the store is unreadable.
    pub fn models(&self) -> io::Result<Listing<ModelName>> {
        let walk = Walk::new(&self.root, &self.links)?;
        let place = walk.directory(&[])?;
        let mut listing = Listing::new();
        for (name, kind) in visible(&place)? {
            let why = match (name.parse(), resolve(&walk, &place, &name, kind)) {
                (_, Ok(false)) => continue,
                (_, Ok(true)) if name == ARCHIVE_LEFTOVERS => {
                    "left by a program that packs archives".to_owned()
                }
                (Err(_), _) => "invalid model name: only A-Z a-z 0-9 _ . - are allowed".to_owned(),
                (Ok(_), Err(why)) => why,
                (Ok(model), Ok(true)) => {
                    listing.entries.push(model);
                    continue;
                }
            };
            listing.ignored.push(IgnoredEntry::new(&name, why));
        }
        Ok(listing.sorted())
    }

    /// Lists the versions of a model, valid or not, the oldest first.
    ///
    /// Ignores hidden entries, and files whose names contain other characters than digits. Any
    /// other entry that cannot be a version becomes an [`IgnoredEntry`]. Examples are directories
    /// named `0`, `01`, `v1` or `latest`, and a file named `2`. A symlink with the name of a
    /// version counts as a version, even if [`open`](Self::open) refuses it.
    ///
    /// # Errors
    ///
    /// When the directory of the model is unreadable, or is a symlink that [must not be
    /// followed](Self::follow_links_under).
    pub fn versions(&self, model: &ModelName) -> io::Result<Listing<Version>> {
        let walk = Walk::new(&self.root, &self.links)?;
        let place = walk.directory(&[model.as_str()])?;
        list_versions(&walk, &place)
    }
}

/// Lists the versions in `place`, the directory of a model.
pub(super) fn list_versions(walk: &Walk, place: &Place) -> io::Result<Listing<Version>> {
    let mut listing = Listing::new();
    for (name, kind) in visible(place)? {
        let is_numeric = name.bytes().all(|byte| byte.is_ascii_digit());
        let why = match (name.parse(), kind) {
            (Ok(version), EntryKind::Directory | EntryKind::Symlink) => {
                listing.entries.push(version);
                continue;
            }
            (Ok(_), _) => "not a directory",
            (Err(_), EntryKind::File | EntryKind::Other) if !is_numeric => continue,
            // The target can be a file, for example a file of a mounted volume.
            (Err(_), EntryKind::Symlink)
                if !is_numeric && resolve(walk, place, &name, kind) == Ok(false) =>
            {
                continue;
            }
            (Err(_), _) => "invalid version: expected a positive integer without leading zeros",
        };
        listing.ignored.push(IgnoredEntry::new(&name, why));
    }
    Ok(listing.sorted())
}

/// The names and types of the entries that are not hidden.
// Replaces invalid Unicode. The result of a replacement never equals a valid name.
fn visible(place: &Place) -> io::Result<impl Iterator<Item = (String, EntryKind)>> {
    let entries = place.entries()?.into_iter();
    let entries = entries.map(|(name, kind)| (name.to_string_lossy().into_owned(), kind));
    Ok(entries.filter(|(name, _)| !name.starts_with('.')))
}

/// Whether an entry is a directory, or a symlink to one. Returns the reason if the symlink must not
/// be followed.
fn resolve(walk: &Walk, place: &Place, name: &str, kind: EntryKind) -> Result<bool, String> {
    if kind != EntryKind::Symlink {
        return Ok(kind == EntryKind::Directory);
    }
    match walk.directory_in(place, &[OsStr::new(name)]) {
        Ok(_) => Ok(true),
        Err(WalkError::NotDirectory) => Ok(false),
        Err(error) => Err(io::Error::from(error).to_string()),
    }
}

impl IgnoredEntry {
    fn new(name: &str, why: impl Into<String>) -> Self {
        Self {
            name: sanitize_for_log(name),
            why: why.into(),
        }
    }
}

impl<T: Ord> Listing<T> {
    fn new() -> Self {
        Self {
            entries: Vec::new(),
            ignored: Vec::new(),
        }
    }

    fn sorted(mut self) -> Self {
        self.entries.sort();
        self.ignored.sort();
        self
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names<T: ToString>(entries: &[T]) -> Vec<String> {
        entries.iter().map(T::to_string).collect()
    }

    #[test]
    fn versions_are_sorted_and_lookalikes_are_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("m");
        for directory in ["10", "9", "0", "01", "notes", ".publish-1", "v3", "2.tmp"] {
            fs::create_dir_all(model.join(directory)).unwrap();
        }
        fs::write(model.join("7"), "").unwrap();
        fs::write(model.join("README"), "").unwrap();
        let listing = Store::new(dir.path())
            .versions(&"m".parse().unwrap())
            .unwrap();
        assert_eq!(names(&listing.entries), ["9", "10"]);
        let ignored: Vec<&str> = listing.ignored.iter().map(|entry| &*entry.name).collect();
        assert_eq!(ignored, ["0", "01", "2.tmp", "7", "notes", "v3"]);
    }

    #[test]
    fn models_are_directories_with_valid_names() {
        let dir = tempfile::tempdir().unwrap();
        for directory in ["b", "a", ".git", "a b", "__MACOSX"] {
            fs::create_dir_all(dir.path().join(directory)).unwrap();
        }
        fs::write(dir.path().join("README.md"), "").unwrap();
        let listing = Store::new(dir.path()).models().unwrap();
        assert_eq!(names(&listing.entries), ["a", "b"]);
        assert_eq!(listing.ignored.len(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn listing_does_not_follow_symlinks() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("m/1")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("m/1"), dir.path().join("m/2")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("m"), dir.path().join("n")).unwrap();
        let store = Store::new(dir.path());
        let models = store.models().unwrap();
        assert_eq!(names(&models.entries), ["m"]);
        assert_eq!(models.ignored[0].name, "n");
        let why = &models.ignored[0].why;
        assert!(why.contains("--follow-links-under"), "{why}");
        let model = "m".parse().unwrap();
        let versions = store.versions(&model).unwrap();
        assert_eq!(names(&versions.entries), ["1", "2"]);
        let refused = store.open(&model, Version::new(2).unwrap()).unwrap_err();
        assert_eq!(refused.reason(), crate::Reason::LinkNotAllowed, "{refused}");
    }

    #[cfg(unix)]
    #[test]
    fn versions_of_a_symlinked_model_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("elsewhere/1")).unwrap();
        fs::create_dir(dir.path().join("models")).unwrap();
        let link = dir.path().join("models/m");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), link).unwrap();
        let store = Store::new(dir.path().join("models"));
        let error = store.versions(&"m".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("a symlink"), "{error}");
    }
}
