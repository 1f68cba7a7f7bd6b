//! Publishes a version: writes and syncs a staging directory, then renames the directory into
//! place.

mod trial_record;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use thiserror::Error;

use super::open::open_verified;
use super::regular_file::{describe, open_following};
use super::staging::StagingDir;
use super::sync::sync_directory;
use super::version_directory::VersionDirectory;
use super::{Store, VerifiedVersion, VerifyError};
use crate::digest::Hasher;
use crate::manifest::{FileEntry, FilePath, Manifest, ManifestError, NonFiniteOutputs};
use crate::{ModelName, Probe, Version};

/// The size of a copied chunk in bytes.
const CHUNK: usize = 256 << 10;

/// The source of a file's bytes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Source {
    /// A file on disk.
    File(PathBuf),
    /// Bytes in memory.
    Bytes(Vec<u8>),
}

/// A version that is written and durable but not yet published.
///
/// The version lies in a hidden directory of the store, `.publish-…`, which servers ignore.
/// Dropping this value without [`publish`](Self::publish) removes the directory. After a crash, the
/// next publication removes the directory ([`Store::clean`]).
#[derive(Debug)]
pub struct Staged {
    store: Store,
    manifest: Manifest,
    directory: PathBuf,
    _staging: StagingDir,
}

/// The reason why a publication failed. The version is not visible to servers, unless only the
/// final sync failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The files do not form a valid manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// There are more files than [`Manifest::MAX_FILES`].
    #[error("expected at most {} files, found {found}", Manifest::MAX_FILES)]
    TooManyFiles {
        /// The number of files.
        found: usize,
    },
    /// All version numbers are taken.
    #[error("{model}: all version numbers are taken")]
    NoVersionLeft {
        /// The model that has no free version number.
        model: ModelName,
    },
    /// A source is a directory, a pipe, a socket or a device. Symlinks are followed.
    #[error("{}: expected a regular file, found {found}", path.display())]
    NotRegular {
        /// The path of the source.
        path: PathBuf,
        /// The type of the source, in words.
        found: &'static str,
    },
    /// A system call failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path of the file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl Store {
    /// Publishes the next version of a model. Calls [`stage`](Self::stage), and then
    /// [`publish`](Staged::publish).
    ///
    /// # Errors
    ///
    /// See [`PublishError`].
    pub fn publish(
        &self,
        model: &ModelName,
        entry: &FilePath,
        files: &BTreeMap<FilePath, Source>,
    ) -> Result<Manifest, PublishError> {
        self.stage(model, entry, files)?.publish()
    }

    /// Writes the next version of a model, with its manifest, to a staging directory. Syncs all
    /// files.
    ///
    /// # Errors
    ///
    /// See [`PublishError`].
    pub fn stage(
        &self,
        model: &ModelName,
        entry: &FilePath,
        files: &BTreeMap<FilePath, Source>,
    ) -> Result<Staged, PublishError> {
        if files.len() > Manifest::MAX_FILES {
            return Err(PublishError::TooManyFiles { found: files.len() });
        }
        let version = self.next_version(model)?;
        let placeholder = |_: &Source| FileEntry {
            size: 0,
            sha256: Hasher::new().finish(),
        };
        let unread = files
            .iter()
            .map(|(path, source)| (path.clone(), placeholder(source)))
            .collect();
        let now = SystemTime::now();
        // Refuses an invalid list of files before any byte is copied. After `staged` exists, an
        // error drops `staged`, which removes the staging directory.
        let manifest = Manifest::new(model.clone(), version, entry.clone(), now, unread)?;
        create_directories(&self.root)?;
        // A failure to remove leftovers must not prevent a publication.
        let _ = self.clean();
        let staging = StagingDir::create(&self.root, "publish").map_err(at(&self.root))?;
        let directory = staging.path().join("version");
        fs::create_dir(&directory).map_err(at(&directory))?;
        let mut staged = Staged {
            store: self.clone(),
            manifest,
            directory,
            _staging: staging,
        };
        let mut written = BTreeMap::new();
        for (path, source) in files {
            written.insert(path.clone(), staged.write(path, source)?);
        }
        staged.manifest = Manifest::new(model.clone(), version, entry.clone(), now, written)?;
        staged.write_manifest()?;
        Ok(staged)
    }

    fn next_version(&self, model: &ModelName) -> Result<Version, PublishError> {
        let directory = self.model_directory(model);
        let newest = match self.versions(model) {
            Ok(listing) => listing.entries.last().copied(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(at(&directory)(error)),
        };
        match newest {
            None => Ok(Version::FIRST),
            Some(version) => version.next().ok_or_else(|| PublishError::NoVersionLeft {
                model: model.clone(),
            }),
        }
    }
}

impl Staged {
    /// The manifest to be published. Publication changes the manifest's version number if another
    /// publication has already taken it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Reads the staged files back and verifies them. The caller can try the result before
    /// publication.
    ///
    /// # Errors
    ///
    /// See [`VerifyError`].
    pub fn open(&self) -> Result<VerifiedVersion, VerifyError> {
        open_verified(
            &VersionDirectory::at(&self.directory)?,
            self.manifest.model(),
            self.manifest.version(),
        )
    }

    /// Adds a probe, or replaces the probe. Servers serve the version only if it passes the probe.
    ///
    /// # Errors
    ///
    /// See [`PublishError`]. Also when a file of the version that is no probe has the name
    /// [`Probe::FILE_NAME`].
    pub fn add_probe(&mut self, probe: &Probe) -> Result<(), PublishError> {
        let path: FilePath = Probe::FILE_NAME
            .parse()
            .expect("Probe::FILE_NAME is a valid file path");
        if self.manifest.probe() == Some(&path) {
            let target = self.directory.join(path.as_str());
            fs::remove_file(&target).map_err(at(&target))?;
        }
        let entry = self.write(&path, &Source::Bytes(probe.to_json().into_bytes()))?;
        self.manifest = self.manifest.clone().with_probe(path, entry)?;
        self.write_manifest()
    }

    /// Declares in the manifest the outputs that may hold NaN and infinite values.
    ///
    /// # Errors
    ///
    /// [`PublishError::Io`].
    pub fn allow_nonfinite(&mut self, outputs: NonFiniteOutputs) -> Result<(), PublishError> {
        self.manifest = self.manifest.clone().with_nonfinite(outputs);
        self.write_manifest()
    }

    /// Declares in the manifest that the model may draw random numbers.
    ///
    /// # Errors
    ///
    /// [`PublishError::Io`].
    pub fn allow_random(&mut self) -> Result<(), PublishError> {
        self.manifest = self.manifest.clone().with_randomness();
        self.write_manifest()
    }

    /// Publishes the version with one rename, then syncs the model's directory. Concurrent
    /// publications get distinct version numbers.
    ///
    /// # Errors
    ///
    /// See [`PublishError`].
    pub fn publish(mut self) -> Result<Manifest, PublishError> {
        let model = self.manifest.model().clone();
        let models = self.store.model_directory(&model);
        create_directories(&models)?;
        // Syncs the store's directory even if the model's directory exists. A process may have
        // created the model's directory, and died before it synced the store's directory.
        sync_directory(&self.store.root).map_err(at(&self.store.root))?;
        loop {
            let target = self
                .store
                .version_directory(&model, self.manifest.version());
            // A rename silently replaces an empty directory, so the target is checked first. A
            // rename onto a non-empty directory fails.
            let taken = || fs::symlink_metadata(&target).is_ok();
            let renamed = if taken() {
                Err(io::ErrorKind::AlreadyExists.into())
            } else {
                // If this version number has a quarantine marker, the marker belonged to a removed
                // version. It must not quarantine the new version.
                let released = self.store.release(&model, self.manifest.version());
                released.and_then(|_| fs::rename(&self.directory, &target))
            };
            match renamed {
                Ok(()) => break,
                Err(_) if taken() => self.renumber()?,
                Err(error) => return Err(at(&target)(error)),
            }
        }
        sync_directory(&models).map_err(at(&models))?;
        Ok(self.manifest.clone())
    }

    fn renumber(&mut self) -> Result<(), PublishError> {
        let model = self.manifest.model();
        let after = self.manifest.version().next();
        let after = after.ok_or_else(|| PublishError::NoVersionLeft {
            model: model.clone(),
        })?;
        let version = self.store.next_version(model)?.max(after);
        self.manifest = self.manifest.clone().with_version(version);
        self.write_manifest()
    }

    fn write(&self, path: &FilePath, source: &Source) -> Result<FileEntry, PublishError> {
        let target = self.directory.join(path.as_str());
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&target)
            .map_err(at(&target))?;
        let entry = match source {
            Source::File(from) => copy_and_hash(&mut open_source(from)?, from, &mut file, &target)?,
            Source::Bytes(bytes) => copy_and_hash(&mut &bytes[..], &target, &mut file, &target)?,
        };
        file.sync_all().map_err(at(&target))?;
        let inside = target
            .ancestors()
            .skip(1)
            .take_while(|directory| *directory != self.directory);
        inside
            .into_iter()
            .try_for_each(|directory| sync_directory(directory).map_err(at(directory)))?;
        Ok(entry)
    }

    fn write_manifest(&self) -> Result<(), PublishError> {
        let target = self.directory.join(Manifest::FILE_NAME);
        let mut file = File::create(&target).map_err(at(&target))?;
        file.write_all(self.manifest.to_json().as_bytes())
            .map_err(at(&target))?;
        file.sync_all().map_err(at(&target))?;
        sync_directory(&self.directory).map_err(at(&self.directory))
    }
}

fn copy_and_hash(
    from: &mut dyn Read,
    from_path: &Path,
    to: &mut File,
    to_path: &Path,
) -> Result<FileEntry, PublishError> {
    let mut chunk = vec![0; CHUNK];
    let mut hasher = Hasher::new();
    let mut size = 0;
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) => {
                return Ok(FileEntry {
                    size,
                    sha256: hasher.finish(),
                });
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(at(from_path)(error)),
        };
        hasher.update(&chunk[..count]);
        to.write_all(&chunk[..count]).map_err(at(to_path))?;
        size += count as u64;
    }
}

/// Opens a source file. Follows symlinks, because the caller chose the path.
///
/// Refuses everything except regular files, and never blocks on a pipe or device.
fn open_source(from: &Path) -> Result<File, PublishError> {
    let file = open_following(from).map_err(at(from))?;
    let found = file.metadata().map_err(at(from))?.file_type();
    match found.is_file() {
        true => Ok(file),
        false => Err(PublishError::NotRegular {
            path: from.to_owned(),
            found: describe(found),
        }),
    }
}

/// Creates a directory and its missing ancestors, and syncs the parent of each created directory.
fn create_directories(directory: &Path) -> Result<(), PublishError> {
    let missing = directory
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists());
    let missing: Vec<&Path> = missing.collect();
    fs::create_dir_all(directory).map_err(at(directory))?;
    for created in missing {
        let parent = created
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        sync_directory(parent).map_err(at(parent))?;
    }
    Ok(())
}

fn at(path: &Path) -> impl Fn(io::Error) -> PublishError + '_ {
    move |source| PublishError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
