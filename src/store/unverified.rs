//! Versions without a manifest, for those who serve them all the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::opening::{Opening, describe, io_error, open_regular};
use super::parallel::read_files;
use super::{Store, VerifiedVersion, VerifyError};
use crate::digest::Hasher;
use crate::manifest::{FileEntry, FilePath, MAX_DEPTH, Manifest};
use crate::{ModelName, Version};

/// What the model is called where there are several files: the name that repositories of models have for it.
const ENTRY: &str = "model.onnx";

impl Store {
    /// Opens a version; one that has no manifest is taken as it is, and says so
    /// ([`VerifiedVersion::is_unverified`]). A version with a manifest must be what that promises.
    ///
    /// # Errors
    ///
    /// See [`open`](Self::open); also when it cannot be told which of the files is the model.
    pub fn open_unverified(
        &self,
        model: &ModelName,
        version: Version,
    ) -> Result<VerifiedVersion, VerifyError> {
        match self.open(model, version) {
            Err(VerifyError::NoManifest) => {}
            opened => return opened,
        }
        let folder = self.version_folder(model, version);
        let mut files = BTreeMap::new();
        list(&folder, "", 0, &mut files)?;
        let named: Option<FilePath> = ENTRY.parse().ok();
        let mut models = files.keys().filter(|path| path.as_str().ends_with(".onnx"));
        let entry = match (named, models.next(), models.next()) {
            (Some(named), _, _) if files.contains_key(&named) => named,
            (_, Some(only), None) => only.clone(),
            _ => return Err(VerifyError::NoEntry),
        };
        // Always the same, so that the same files are the same version.
        let never = SystemTime::UNIX_EPOCH;
        let manifest = Manifest::new(model.clone(), version, entry, never, files)?;
        // Read again, and held to what was just found: what changes in between is refused.
        let files = read_files(&folder, &manifest)?;
        Ok(VerifiedVersion::unverified(manifest, files))
    }
}

fn list(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<FilePath, FileEntry>,
) -> Result<(), VerifyError> {
    let shown = if prefix.is_empty() { "." } else { prefix };
    for entry in fs::read_dir(folder).map_err(|error| io_error(shown, error))? {
        let entry = entry.map_err(|error| io_error(shown, error))?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().map_err(|error| io_error(&name, error))?;
        if kind.is_dir() && depth < MAX_DEPTH {
            list(&entry.path(), &format!("{name}/"), depth + 1, files)?;
        } else if let (true, Ok(path)) = (kind.is_file(), name.parse::<FilePath>()) {
            let hashed = hash(&entry.path(), &name)?;
            files.insert(path, hashed);
        } else {
            return Err(VerifyError::NotRegular {
                file: name,
                found: describe(kind),
            });
        }
        if files.len() > Manifest::MAX_FILES {
            return Err(VerifyError::Unlisted {
                file: format!("more than {} files", Manifest::MAX_FILES),
            });
        }
    }
    Ok(())
}

fn hash(path: &Path, name: &str) -> Result<FileEntry, VerifyError> {
    let (mut file, size) = match open_regular(path, name) {
        Ok(opened) => opened,
        Err(Opening::Refused(error)) => return Err(error),
        Err(Opening::NotFound) => {
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
