//! Entries in the directory of a version that its manifest does not list.

use std::collections::BTreeSet;
use std::io;

use super::Store;
use super::fingerprint::VersionFingerprint;
use crate::manifest::{FilePath, Manifest};
use crate::sanitize::sanitize_for_log;
use crate::signature::BUNDLE_FILE;
use crate::{ModelName, Version};

impl Store {
    /// The entries in the directory of a version that its manifest does not list, sorted. They are
    /// never opened. The name of a directory ends with `/` and stands for all of its entries.
    ///
    /// Leaves out the signature, `model.sig`, and names that begin with `..`, which Kubernetes uses
    /// in its volumes. The directory of a version has at most 2049 entries that are considered.
    ///
    /// # Errors
    ///
    /// When the directory of the version cannot be found.
    pub fn unlisted(
        &self,
        model: &ModelName,
        version: Version,
        manifest: &Manifest,
    ) -> io::Result<Vec<String>> {
        let directory = self.find_version(model, version);
        let directory = directory.map_err(io::Error::other)?;
        Ok(VersionFingerprint::of(&directory).unlisted(manifest))
    }
}

impl VersionFingerprint {
    /// The entries that the manifest does not list: see [`Store::unlisted`].
    pub(crate) fn unlisted(&self, manifest: &Manifest) -> Vec<String> {
        let mut found = BTreeSet::new();
        for name in self.names() {
            if let Some(name) = first_unlisted(name, manifest) {
                found.insert(name.to_owned());
            }
        }
        // A directory is found under its own name, too.
        let directories: Vec<String> = found
            .iter()
            .filter_map(|name| name.strip_suffix('/').map(str::to_owned))
            .collect();
        for name in directories {
            found.remove(&name);
        }
        found.into_iter().map(sanitize_for_log).collect()
    }
}

/// The shortest part of `name` that is neither a listed file nor a directory of listed files. For a
/// directory, the part ends with `/`.
fn first_unlisted<'a>(name: &'a str, manifest: &Manifest) -> Option<&'a str> {
    if name.starts_with("..") || name == Manifest::FILE_NAME || name == BUNDLE_FILE {
        return None;
    }
    let listed = |part: &str| {
        let path = part.parse().ok();
        path.is_some_and(|path: FilePath| manifest.files().contains_key(&path))
    };
    let listed_inside = |part: &str| {
        let mut paths = manifest.files().keys();
        paths.any(|path| path.as_str().starts_with(part))
    };
    for (end, _) in name.match_indices('/') {
        let directory = &name[..=end];
        if !listed_inside(directory) {
            return Some(directory);
        }
    }
    let is_directory = listed_inside(&format!("{name}/"));
    (!listed(name) && !is_directory).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::tests::models::Models;

    #[test]
    fn unlisted_names_each_stranger_once() {
        let models = Models::cole_kripke();
        let model = "cole_kripke".parse().unwrap();
        let manifest = models.store.manifest(&model, Version::FIRST).unwrap();
        let found = || models.store.unlisted(&model, Version::FIRST, &manifest);
        assert_eq!(found().unwrap(), Vec::<String>::new());
        for directory in ["__MACOSX/deep", ".git/objects", "empty", "..2026_01_01"] {
            fs::create_dir_all(models.path("1").join(directory)).unwrap();
        }
        for file in [
            ".DS_Store",
            "__MACOSX/deep/a",
            "__MACOSX/b",
            "README.md",
            "model.sig",
        ] {
            fs::write(models.path("1").join(file), "").unwrap();
        }
        let named = [".DS_Store", ".git/", "README.md", "__MACOSX/", "empty"];
        assert_eq!(found().unwrap(), named);
        assert!(models.store.open(&model, Version::FIRST).is_ok());
    }
}
