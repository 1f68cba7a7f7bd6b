//! Models on disk, to be broken.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clarity::{Manifest, ModelName, Source, Store};

/// The published Cole–Kripke model, as the repository ships it.
pub(crate) const COLE_KRIPKE: &[u8] =
    include_bytes!("../../../chaos_tests/models/cole_kripke/1/model.onnx");

/// A folder of models, and a store in it.
pub(crate) struct Models {
    _dir: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Models {
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        Self { _dir: dir, store }
    }

    /// With version 1 of `cole_kripke`.
    pub(crate) fn cole_kripke() -> Self {
        let models = Self::empty();
        models.publish("cole_kripke", COLE_KRIPKE);
        models
    }

    pub(crate) fn publish(&self, model: &str, bytes: &[u8]) -> Manifest {
        let model: ModelName = model.parse().unwrap();
        let entry = "model.onnx".parse().unwrap();
        let files =
            BTreeMap::from([("model.onnx".parse().unwrap(), Source::Bytes(bytes.to_vec()))]);
        self.store.publish(&model, &entry, &files).unwrap()
    }

    pub(crate) fn root(&self) -> &Path {
        self.store.root()
    }

    /// A file of `cole_kripke`, as in `1/model.onnx`.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.root().join("cole_kripke").join(inside)
    }

    pub(crate) fn flip_bit(&self, inside: &str, bit: usize) {
        let mut bytes = fs::read(self.path(inside)).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(self.path(inside), bytes).unwrap();
    }
}
