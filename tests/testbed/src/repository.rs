//! A directory of models, published by the real store, which a test serves or damages.

use crate::cole_kripke;
use clarity::{FilePath, Manifest, Source, Store, Version};
use clarity_chaos::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the model that most tests serve or damage.
pub const MODEL: &str = "cole_kripke";

/// The bytes of the file of [`MODEL`], as published in `chaos_tests/models`.
pub const MODEL_BYTES: &[u8] =
    include_bytes!("../../../chaos_tests/models/cole_kripke/1/model.onnx");

/// The name of a model's file in a version's directory.
const ENTRY: &str = "model.onnx";

/// A directory of models.
#[derive(Debug)]
pub struct Repository {
    /// The store that publishes and opens the models.
    pub store: Store,
    /// The temporary directory, removed when dropped, if the repository has one.
    _temporary: Option<tempfile::TempDir>,
}

impl Repository {
    /// An empty repository, whose directory is removed when dropped.
    ///
    /// # Panics
    ///
    /// When no temporary directory can be created.
    #[must_use]
    pub fn temporary() -> Self {
        let directory = tempfile::tempdir().expect("the system has a temporary directory");
        Self {
            store: Store::new(directory.path()),
            _temporary: Some(directory),
        }
    }

    /// A repository with version 1 of [`MODEL`], whose directory is removed when dropped.
    ///
    /// # Panics
    ///
    /// When no temporary directory can be created, or the model cannot be published.
    #[must_use]
    pub fn temporary_with_model() -> Self {
        let repository = Self::temporary();
        repository.publish(MODEL, MODEL_BYTES);
        repository
    }

    /// An empty repository in the directory of a chaos test.
    ///
    /// # Errors
    ///
    /// When the repository's directory cannot be created.
    pub fn empty(cx: &Context) -> Result<Self> {
        let root = cx.dir().join("models");
        fs::create_dir(&root)?;
        Ok(Self::at(root))
    }

    /// A repository with version 1 of [`MODEL`], in the directory of a chaos test.
    ///
    /// # Errors
    ///
    /// When the repository's directory cannot be created, or the model cannot be published.
    pub fn with_model(cx: &Context) -> Result<Self> {
        let repository = Self::empty(cx)?;
        repository.publish_bytes(MODEL, MODEL_BYTES)?;
        Ok(repository)
    }

    /// A second repository in the directory of a chaos test, which no server serves.
    ///
    /// # Errors
    ///
    /// When the repository's directory cannot be created.
    pub fn staging(cx: &Context) -> Result<Self> {
        let root = cx.dir().join("staging");
        fs::create_dir(&root)?;
        Ok(Self::at(root))
    }

    /// The repository in the directory `root`, which need not exist yet.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self {
            store: Store::new(root),
            _temporary: None,
        }
    }

    /// Copies a version from `staging` into this repository, under the same number. The version
    /// appears in one rename.
    ///
    /// # Errors
    ///
    /// When a file cannot be copied, or the directory cannot be renamed.
    pub fn receive(&self, staging: &Self, model: &str, version: u64) -> Result {
        let arriving = self.root().with_file_name("arriving");
        fs::create_dir(&arriving)?;
        for file in fs::read_dir(staging.version(model, version))? {
            let file = file?;
            fs::copy(file.path(), arriving.join(file.file_name()))?;
        }
        fs::create_dir_all(self.root().join(model))?;
        fs::rename(arriving, self.version(model, version))?;
        Ok(())
    }

    /// Publishes the next version of a model, and returns its number.
    ///
    /// # Panics
    ///
    /// When the store refuses the version. If a fault can cause a refusal, use
    /// [`publish_bytes`](Self::publish_bytes).
    #[track_caller]
    pub fn publish(&self, model: &str, bytes: &[u8]) -> u64 {
        let published = self.publish_bytes(model, bytes);
        published.unwrap_or_else(|error| panic!("cannot publish {model}: {error}"))
    }

    /// Publishes the next version of a model, and returns its number.
    ///
    /// # Errors
    ///
    /// When the store refuses the version.
    pub fn publish_bytes(&self, model: &str, bytes: &[u8]) -> Result<u64> {
        self.publish_files(model, &[(ENTRY, bytes)])
    }

    /// Publishes the next version from several files, one of which is `model.onnx`, and returns its
    /// number.
    ///
    /// # Errors
    ///
    /// When a path is invalid, or the store refuses the version.
    pub fn publish_files(&self, model: &str, files: &[(&str, &[u8])]) -> Result<u64> {
        let entry: FilePath = ENTRY.parse()?;
        let mut sources = BTreeMap::new();
        for (path, bytes) in files {
            sources.insert(path.parse()?, Source::Bytes(bytes.to_vec()));
        }
        let manifest = self.store.publish(&model.parse()?, &entry, &sources)?;
        Ok(manifest.version().get())
    }

    /// Publishes the next version with weights of `scale` times the published ones, and returns its
    /// number.
    ///
    /// # Errors
    ///
    /// When the store refuses the version.
    pub fn publish_scaled(&self, model: &str, scale: f32) -> Result<u64> {
        self.publish_bytes(model, &cole_kripke::scaled(MODEL_BYTES, scale)?)
    }

    /// The number that the next published version of a model will have.
    ///
    /// # Errors
    ///
    /// When the model's directory cannot be listed.
    pub fn next_version(&self, model: &str) -> Result<u64> {
        let listing = self.store.versions(&model.parse()?)?;
        Ok(listing.entries.last().map_or(1, |last| last.get() + 1))
    }

    /// The bytes of a version's model file, verified by the store.
    ///
    /// # Errors
    ///
    /// When the store cannot open or verify the version.
    pub fn open_verified(&self, model: &str, version: u64) -> Result<Vec<u8>> {
        let version = Version::new(version).ok_or("version 0 does not exist")?;
        let (_manifest, mut files) = self.store.open(&model.parse()?, version)?.into_parts();
        let bytes = files.remove(&ENTRY.parse()?);
        Ok(bytes.ok_or("the version has no model file")?)
    }

    /// The directory that contains all models.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.store.root()
    }

    /// The directory of a version of a model.
    #[must_use]
    pub fn version(&self, model: &str, version: u64) -> PathBuf {
        self.root().join(model).join(version.to_string())
    }

    /// The path of a version's model file.
    #[must_use]
    pub fn weights(&self, model: &str, version: u64) -> PathBuf {
        self.version(model, version).join(ENTRY)
    }

    /// The path of a version's manifest.
    #[must_use]
    pub fn manifest(&self, model: &str, version: u64) -> PathBuf {
        self.version(model, version).join(Manifest::FILE_NAME)
    }

    /// The path of a file of [`MODEL`]. `inside` is its path in the model's directory, such as
    /// `1/model.onnx`.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root().join(MODEL).join(inside)
    }

    /// Flips one bit of a file of [`MODEL`].
    ///
    /// # Panics
    ///
    /// When the file cannot be read or written, or does not have this bit.
    #[track_caller]
    pub fn flip_bit(&self, inside: &str, bit: usize) {
        let path = self.path(inside);
        let flipped = fs::read(&path).and_then(|mut bytes| {
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bytes)
        });
        flipped.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
