//! Opens versions without a manifest, on explicit request.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::parallel::read_files;
use super::regular_file::io_error;
use super::version_directory::{OpenError, VersionDirectory};
use super::walk::{EntryKind, Place, WalkError};
use super::{Store, VerifiedVersion, VerifyError};
use crate::digest::Hasher;
use crate::manifest::{FileEntry, FilePath, MAX_DEPTH, Manifest};
use crate::{ModelName, Version};

/// The preferred name of the model file, as in existing model repositories.
const ENTRY: &str = "model.onnx";

/// Names that other programs leave in directories, apart from hidden names.
const STRANGERS: [&str; 3] = ["__MACOSX", "Thumbs.db", "desktop.ini"];

impl Store {
    /// Opens a version. Verifies the version if it has a manifest.
    ///
    /// Accepts the files of a version without a manifest as they are. Leaves out hidden files, and
    /// names such as `__MACOSX`. For such a version, [`VerifiedVersion::is_unverified`] returns
    /// true.
    ///
    /// # Errors
    ///
    /// See [`open`](Self::open). Also when the version has no manifest, and the model file is
    /// ambiguous.
    pub fn open_unverified(
        &self,
        model: &ModelName,
        version: Version,
    ) -> Result<VerifiedVersion, VerifyError> {
        match self.open(model, version) {
            Err(VerifyError::NoManifest) => {}
            opened => return opened,
        }
        let read = |directory: &_| read_all(directory, model, version);
        let (_, opened) = self.read_version(model, version, read)?;
        Ok(opened)
    }
}

fn read_all(
    directory: &VersionDirectory,
    model: &ModelName,
    version: Version,
) -> Result<VerifiedVersion, VerifyError> {
    let mut files = BTreeMap::new();
    list(directory, directory.place(), "", 0, &mut files)?;
    let named: Option<FilePath> = ENTRY.parse().ok();
    let mut models = files.keys().filter(|path| path.as_str().ends_with(".onnx"));
    let entry = match (named, models.next(), models.next()) {
        (Some(named), _, _) if files.contains_key(&named) => named,
        (_, Some(only), None) => only.clone(),
        _ => return Err(VerifyError::NoEntry),
    };
    // The time is constant, so that the same files always result in the same manifest.
    let never = SystemTime::UNIX_EPOCH;
    let manifest = Manifest::new(model.clone(), version, entry, never, files)?;
    // Reads the files a second time and compares them with the digests of the first read. Refuses
    // files that changed between the two reads.
    let files = read_files(directory, &manifest)?;
    // Without a manifest, nothing else shows that the directory was removed while it was listed.
    if directory.has_changed() {
        return Err(io_error(
            ".",
            std::io::ErrorKind::StaleNetworkFileHandle.into(),
        ));
    }
    Ok(VerifiedVersion::unverified(manifest, files))
}

fn list(
    version: &VersionDirectory,
    place: &Place,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<FilePath, FileEntry>,
) -> Result<(), VerifyError> {
    let shown = if prefix.is_empty() { "." } else { prefix };
    let entries = place.entries().map_err(|error| io_error(shown, error))?;
    for (name, kind) in entries {
        let short = name.to_string_lossy();
        if short.starts_with('.') || STRANGERS.contains(&&*short) {
            continue;
        }
        let path = format!("{prefix}{short}");
        let directory = match kind {
            EntryKind::Directory | EntryKind::Symlink => {
                version.walk().directory_in(place, &[&name])
            }
            EntryKind::File | EntryKind::Other => Err(WalkError::NotDirectory),
        };
        match (directory, path.parse::<FilePath>()) {
            (Ok(inside), Ok(_)) if depth < MAX_DEPTH => {
                list(version, &inside, &format!("{path}/"), depth + 1, files)?;
            }
            (Err(WalkError::NotDirectory), Ok(file)) => {
                let hashed = hash(version, &path)?;
                files.insert(file, hashed);
            }
            (Err(WalkError::LinkNotAllowed { link, target }), _) => {
                return Err(VerifyError::LinkNotAllowed { link, target });
            }
            (Err(WalkError::Io(error)), _) => return Err(io_error(&path, error)),
            _ => {
                return Err(VerifyError::NotRegular {
                    file: path,
                    found: kind.describe(),
                });
            }
        }
        if files.len() > Manifest::MAX_FILES {
            return Err(VerifyError::TooManyFiles);
        }
    }
    Ok(())
}

fn hash(version: &VersionDirectory, name: &str) -> Result<FileEntry, VerifyError> {
    let (mut file, size) = match version.open(name) {
        Ok(opened) => opened,
        Err(OpenError::Refused(error)) => return Err(error),
        Err(OpenError::NotFound) => {
            return Err(io_error(name, std::io::ErrorKind::NotFound.into()));
        }
    };
    let mut hasher = Hasher::new();
    hasher
        .read(&mut file)
        .map_err(|error| io_error(name, error))?;
    Ok(FileEntry {
        size,
        sha256: hasher.finish(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::tests::models::Models;

    /// Opens version 1 of `m`, which consists of these files.
    fn open(files: &[(&str, &str)]) -> Result<VerifiedVersion, VerifyError> {
        let models = Models::empty();
        let directory = models.root().join("m/1");
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in files {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        models
            .store
            .open_unverified(&"m".parse().unwrap(), Version::FIRST)
    }

    #[test]
    fn unverified_entry_is_model_onnx_or_the_only_model() {
        for (files, entry) in [
            (
                &[("other.onnx", "o"), ("model.onnx", "m")][..],
                "model.onnx",
            ),
            (&[("other.onnx", "o"), ("weights/a.bin", "w")], "other.onnx"),
        ] {
            let opened = open(files).unwrap();
            assert!(opened.is_unverified());
            assert_eq!(opened.manifest().entry().as_str(), entry);
            assert_eq!(opened.files().len(), 2);
            for (path, bytes) in opened.files() {
                let (_, text) = files
                    .iter()
                    .find(|(name, _)| *name == path.as_str())
                    .unwrap();
                assert_eq!(bytes, text.as_bytes());
            }
        }
        for files in [&[("a.onnx", ""), ("b.onnx", "")][..], &[("a.txt", "")]] {
            let error = open(files).unwrap_err();
            assert!(matches!(error, VerifyError::NoEntry), "{error}");
        }
    }

    #[test]
    fn unverified_open_still_verifies_a_manifest() {
        let models = Models::cole_kripke();
        let model = "cole_kripke".parse().unwrap();
        let opened = models
            .store
            .open_unverified(&model, Version::FIRST)
            .unwrap();
        assert!(!opened.is_unverified());
        models.flip_bit("1/model.onnx", 7);
        let error = models.store.open_unverified(&model, Version::FIRST);
        assert!(matches!(error, Err(VerifyError::DigestMismatch { .. })));
    }

    #[test]
    #[cfg(unix)]
    fn unverified_open_refuses_symlinks() {
        let models = Models::empty();
        let directory = models.root().join("m/1");
        fs::create_dir_all(directory.join("inside")).unwrap();
        std::os::unix::fs::symlink("/dev/null", directory.join("inside/model.onnx")).unwrap();
        let error = models
            .store
            .open_unverified(&"m".parse().unwrap(), Version::FIRST)
            .unwrap_err();
        assert_eq!(error.reason(), crate::Reason::LinkNotAllowed);
        let text = error.to_string();
        assert!(
            text.contains("inside/model.onnx is a symlink to /dev/null"),
            "{text}"
        );
    }

    #[test]
    fn unverified_open_limits_depth_and_number() {
        let deep = |depth: usize| format!("{}model.onnx", "d/".repeat(depth));
        assert!(open(&[(&deep(MAX_DEPTH), "m")]).is_ok());
        let error = open(&[(&deep(MAX_DEPTH + 1), "m")]).unwrap_err();
        assert!(matches!(error, VerifyError::NotRegular { .. }), "{error}");

        let names: Vec<String> = (1..Manifest::MAX_FILES).map(|n| n.to_string()).collect();
        let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        files.push(("model.onnx", "m"));
        assert_eq!(open(&files).unwrap().files().len(), Manifest::MAX_FILES);
        files.push(("one", "too many"));
        let error = open(&files).unwrap_err();
        assert!(error.to_string().contains("at most 1024 files"), "{error}");
    }
}
