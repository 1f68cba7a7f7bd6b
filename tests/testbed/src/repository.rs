//! A directory of models, published by the real store, to be served or damaged.

use crate::cole_kripke;
use clarity::{FilePath, Manifest, Source, Store, Version};
use clarity_chaos::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the model that most tests serve or damage.
pub const MODEL: &str = "cole_kripke";

/// Its file, as published in `chaos_tests/models`.
pub const MODEL_BYTES: &[u8] =
    include_bytes!("../../../chaos_tests/models/cole_kripke/1/model.onnx");

/// The name of a model's file in the directory of its version.
const ENTRY: &str = "model.onnx";

/// Models on disk.
#[derive(Debug)]
pub struct Repository {
    /// The store that publishes and opens them.
    pub store: Store,
    /// Removed when dropped.
    _temporary: Option<tempfile::TempDir>,
}

impl Repository {
    /// An empty repository, removed when dropped.
    ///
    /// # Panics
    ///
    /// When no temporary directory can be made.
    #[must_use]
    pub fn temporary() -> Self {
        let directory = tempfile::tempdir().expect("the system has a temporary directory");
        Self {
            store: Store::new(directory.path()),
            _temporary: Some(directory),
        }
    }

    /// A repository with version 1 of [`MODEL`], removed when dropped.
    ///
    /// # Panics
    ///
    /// When no temporary directory can be made.
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
    /// When its directory cannot be made.
    pub fn empty(cx: &Context) -> Result<Self> {
        let root = cx.dir().join("models");
        fs::create_dir(&root)?;
        Ok(Self::at(root))
    }

    /// A repository with version 1 of [`MODEL`], in the directory of a chaos test.
    ///
    /// # Errors
    ///
    /// When its directory cannot be made, or the model not be published.
    pub fn with_model(cx: &Context) -> Result<Self> {
        let repository = Self::empty(cx)?;
        repository.publish_bytes(MODEL, MODEL_BYTES)?;
        Ok(repository)
    }

    /// A second repository in the directory of a chaos test, which no server serves.
    ///
    /// # Errors
    ///
    /// When its directory cannot be made.
    pub fn staging(cx: &Context) -> Result<Self> {
        let root = cx.dir().join("staging");
        fs::create_dir(&root)?;
        Ok(Self::at(root))
    }

    /// The repository in this directory, which need not exist yet.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self {
            store: Store::new(root),
            _temporary: None,
        }
    }

    /// Copies a version of `staging` into this repository, under the same number, in one rename.
    ///
    /// # Errors
    ///
    /// When a file cannot be copied, or the directory not be renamed.
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

    /// Publishes the next version of a model, and gives its number.
    ///
    /// # Panics
    ///
    /// When the store refuses. Where a fault can make it, use
    /// [`publish_bytes`](Self::publish_bytes).
    #[track_caller]
    pub fn publish(&self, model: &str, bytes: &[u8]) -> u64 {
        let published = self.publish_bytes(model, bytes);
        published.unwrap_or_else(|error| panic!("cannot publish {model}: {error}"))
    }

    /// Publishes the next version of a model, and gives its number.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn publish_bytes(&self, model: &str, bytes: &[u8]) -> Result<u64> {
        self.publish_files(model, &[(ENTRY, bytes)])
    }

    /// Publishes a version of several files, one of which is `model.onnx`.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn publish_files(&self, model: &str, files: &[(&str, &[u8])]) -> Result<u64> {
        let entry: FilePath = ENTRY.parse()?;
        let mut sources = BTreeMap::new();
        for (path, bytes) in files {
            sources.insert(path.parse()?, Source::Bytes(bytes.to_vec()));
        }
        let manifest = self.store.publish(&model.parse()?, &entry, &sources)?;
        Ok(manifest.version().get())
    }

    /// Publishes the next version, with weights that are `scale` times the published ones.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn publish_scaled(&self, model: &str, scale: f32) -> Result<u64> {
        self.publish_bytes(model, &cole_kripke::scaled(MODEL_BYTES, scale)?)
    }

    /// The number that the next version of a model will have.
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
    /// When the store finds other bytes than those published.
    pub fn open_verified(&self, model: &str, version: u64) -> Result<Vec<u8>> {
        let version = Version::new(version).ok_or("version 0 does not exist")?;
        let (_manifest, mut files) = self.store.open(&model.parse()?, version)?.into_parts();
        let bytes = files.remove(&ENTRY.parse()?);
        Ok(bytes.ok_or("the version has no model file")?)
    }

    /// The directory of all models.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.store.root()
    }

    /// The directory of a version.
    #[must_use]
    pub fn version(&self, model: &str, version: u64) -> PathBuf {
        self.root().join(model).join(version.to_string())
    }

    /// The model file of a version.
    #[must_use]
    pub fn weights(&self, model: &str, version: u64) -> PathBuf {
        self.version(model, version).join(ENTRY)
    }

    /// The manifest of a version.
    #[must_use]
    pub fn manifest(&self, model: &str, version: u64) -> PathBuf {
        self.version(model, version).join(Manifest::FILE_NAME)
    }

    /// A file of [`MODEL`], as in `1/model.onnx`.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root().join(MODEL).join(inside)
    }

    /// Flips a bit of a file of [`MODEL`].
    ///
    /// # Panics
    ///
    /// When the file cannot be read or written, or is shorter.
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
