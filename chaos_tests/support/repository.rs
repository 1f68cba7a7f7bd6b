//! A folder of models, in the test's own directory.

use crate::support::cole_kripke;
use clarity::{FilePath, Source, Store, Version};
use clarity_chaos::{Context, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The model that most scenarios damage.
pub(crate) const MODEL: &str = "cole_kripke";

/// Its file, as published in `chaos_tests/models`.
pub(crate) const MODEL_BYTES: &[u8] = include_bytes!("../models/cole_kripke/1/model.onnx");

/// The name of a model's file in the folder of its version.
const ENTRY: &str = "model.onnx";

/// Models on disk, published by the real store.
#[derive(Debug)]
pub(crate) struct Repository {
    store: Store,
}

impl Repository {
    /// A repository without models.
    pub(crate) fn empty(cx: &Context) -> Result<Self> {
        let root = cx.dir().join("models");
        std::fs::create_dir(&root)?;
        Ok(Self {
            store: Store::new(root),
        })
    }

    /// The repository in this folder, which need not be there yet.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self {
            store: Store::new(root),
        }
    }

    /// A second repository beside, that nobody serves.
    pub(crate) fn staging(cx: &Context) -> Result<Self> {
        let root = cx.dir().join("staging");
        std::fs::create_dir(&root)?;
        Ok(Self {
            store: Store::new(root),
        })
    }

    /// Takes a version of `staging`, as it is there, under the same number, in one step.
    pub(crate) fn receive(&self, staging: &Self, model: &str, version: u64) -> Result {
        let arriving = self.root().with_file_name("arriving");
        std::fs::create_dir(&arriving)?;
        for file in std::fs::read_dir(staging.version(model, version))? {
            let file = file?;
            std::fs::copy(file.path(), arriving.join(file.file_name()))?;
        }
        std::fs::create_dir_all(self.root().join(model))?;
        std::fs::rename(arriving, self.version(model, version))?;
        Ok(())
    }

    /// A repository with version 1 of [`MODEL`].
    pub(crate) fn with_model(cx: &Context) -> Result<Self> {
        let repository = Self::empty(cx)?;
        repository.publish_bytes(MODEL, MODEL_BYTES)?;
        Ok(repository)
    }

    /// Publishes the next version of a model, and gives its number.
    pub(crate) fn publish_bytes(&self, model: &str, bytes: &[u8]) -> Result<u64> {
        self.publish_files(model, &[(ENTRY, bytes)])
    }

    /// The same of several files, one of which is `model.onnx`.
    pub(crate) fn publish_files(&self, model: &str, files: &[(&str, &[u8])]) -> Result<u64> {
        let entry: FilePath = ENTRY.parse()?;
        let mut sources = BTreeMap::new();
        for (path, bytes) in files {
            sources.insert(path.parse()?, Source::Bytes(bytes.to_vec()));
        }
        let manifest = self.store.publish(&model.parse()?, &entry, &sources)?;
        Ok(manifest.version().get())
    }

    /// Publishes the next version, with weights that are `scale` times the published ones.
    pub(crate) fn publish_scaled(&self, model: &str, scale: f32) -> Result<u64> {
        self.publish_bytes(model, &cole_kripke::scaled(MODEL_BYTES, scale)?)
    }

    /// The number that the next version of a model will have.
    pub(crate) fn next(&self, model: &str) -> Result<u64> {
        let listing = self.store.versions(&model.parse()?)?;
        Ok(listing.entries.last().map_or(1, |last| last.get() + 1))
    }

    /// The bytes of a version's model file, if the store finds them to be what was published.
    pub(crate) fn open_verified(&self, model: &str, version: u64) -> Result<Vec<u8>> {
        let version = Version::new(version).ok_or("versions begin with 1")?;
        let (_manifest, mut files) = self.store.open(&model.parse()?, version)?.into_parts();
        Ok(files
            .remove(&ENTRY.parse()?)
            .ok_or("the version has a model file")?)
    }

    pub(crate) fn weights(&self, model: &str, version: u64) -> PathBuf {
        self.version(model, version).join(ENTRY)
    }

    pub(crate) fn manifest(&self, model: &str, version: u64) -> PathBuf {
        self.version(model, version).join("manifest.json")
    }

    pub(crate) fn root(&self) -> &Path {
        self.store.root()
    }

    pub(crate) fn version(&self, model: &str, version: u64) -> PathBuf {
        self.root().join(model).join(version.to_string())
    }
}
