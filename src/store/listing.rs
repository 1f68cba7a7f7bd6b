//! Lists models and versions on disk.

use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io;

use super::Store;
use crate::{ModelName, Version};

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
    pub why: &'static str,
}

impl Store {
    /// Lists the models of the store, sorted by name.
    ///
    /// Ignores files and hidden entries, such as the directories of running publications. A
    /// directory or symlink that cannot be a model becomes an [`IgnoredEntry`].
    ///
    /// # Errors
    ///
    /// When the directory of the store is unreadable.
    pub fn models(&self) -> io::Result<Listing<ModelName>> {
        list(fs::read_dir(&self.root)?, |name, kind| {
            match (name.parse(), kind) {
                (_, EntryKind::Other) => Ok(None),
                (Ok(_), EntryKind::Symlink) => Err("a symlink: models are real directories"),
                (Err(_), _) => Err("invalid model name: only A-Z a-z 0-9 _ . - are allowed"),
                (Ok(model), EntryKind::Directory) => Ok(Some(model)),
            }
        })
    }

    /// Lists the versions of a model, valid or not, the oldest first.
    ///
    /// Ignores hidden entries, and entries whose names contain other characters than digits. An
    /// entry becomes an [`IgnoredEntry`] if its name is numeric, but the entry cannot be a version.
    /// Examples are the names `0` and `01`, and a file or symlink named `2`.
    ///
    /// # Errors
    ///
    /// When the directory of the model is unreadable, or is a symlink. The target of a symlink may
    /// lie outside of the store.
    pub fn versions(&self, model: &ModelName) -> io::Result<Listing<Version>> {
        let directory = self.model_directory(model);
        if fs::symlink_metadata(&directory)?.is_symlink() {
            return Err(io::Error::other("a symlink: models are real directories"));
        }
        list(fs::read_dir(directory)?, |name, kind| {
            if !name.bytes().all(|byte| byte.is_ascii_digit()) {
                return Ok(None);
            }
            match (name.parse(), kind) {
                (Err(_), _) => {
                    Err("invalid version: expected a positive integer without leading zeros")
                }
                (Ok(_), EntryKind::Symlink) => Err("a symlink: versions are real directories"),
                (Ok(_), EntryKind::Other) => Err("not a directory"),
                (Ok(version), EntryKind::Directory) => Ok(Some(version)),
            }
        })
    }
}

enum EntryKind {
    Directory,
    Symlink,
    Other,
}

fn list<T: Ord>(
    entries: impl Iterator<Item = io::Result<DirEntry>>,
    judge: impl Fn(&str, EntryKind) -> Result<Option<T>, &'static str>,
) -> io::Result<Listing<T>> {
    let mut listing = Listing {
        entries: Vec::new(),
        ignored: Vec::new(),
    };
    for entry in entries {
        let entry = entry?;
        let name = lossy_text(entry.file_name());
        if name.starts_with('.') {
            continue;
        }
        let kind = match entry.file_type() {
            Ok(kind) if kind.is_dir() => EntryKind::Directory,
            Ok(kind) if kind.is_symlink() => EntryKind::Symlink,
            Ok(_) => EntryKind::Other,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        match judge(&name, kind) {
            Ok(found) => listing.entries.extend(found),
            Err(why) => listing.ignored.push(IgnoredEntry { name, why }),
        }
    }
    listing.entries.sort();
    listing.ignored.sort();
    Ok(listing)
}

/// Replaces invalid Unicode. The result of a replacement never equals a valid name.
fn lossy_text(name: OsString) -> String {
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
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
        assert_eq!(ignored, ["0", "01", "7"]);
    }

    #[test]
    fn models_are_directories_with_valid_names() {
        let dir = tempfile::tempdir().unwrap();
        for directory in ["b", "a", ".git", "a b"] {
            fs::create_dir_all(dir.path().join(directory)).unwrap();
        }
        fs::write(dir.path().join("README.md"), "").unwrap();
        let listing = Store::new(dir.path()).models().unwrap();
        assert_eq!(names(&listing.entries), ["a", "b"]);
        assert_eq!(listing.ignored.len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn listing_does_not_follow_symlinks() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("m/1")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("m/1"), dir.path().join("m/2")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("m"), dir.path().join("n")).unwrap();
        let store = Store::new(dir.path());
        assert_eq!(store.models().unwrap().ignored[0].name, "n");
        assert_eq!(names(&store.models().unwrap().entries), ["m"]);
        assert_eq!(
            names(&store.versions(&"m".parse().unwrap()).unwrap().entries),
            ["1"]
        );
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
