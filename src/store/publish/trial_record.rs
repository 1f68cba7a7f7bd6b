//! Records of a version's trial in its manifest, before the publication.

use std::collections::BTreeMap;

use super::{PublishError, Staged};
use crate::RuntimeId;

impl Staged {
    /// Overrides the declared ranks of outputs: see [`Manifest::output_ranks`].
    ///
    /// # Errors
    ///
    /// See [`PublishError`].
    pub fn set_output_ranks(
        &mut self,
        ranks: BTreeMap<String, Option<u8>>,
    ) -> Result<(), PublishError> {
        self.manifest = self.manifest.clone().with_output_ranks(ranks);
        self.write_manifest()
    }

    /// Records that the version is [unprobed](crate::Trial::Unprobed), and why.
    ///
    /// # Errors
    ///
    /// See [`PublishError`].
    pub fn set_unprobed(&mut self, why: &str) -> Result<(), PublishError> {
        self.manifest = self.manifest.clone().with_unprobed(why);
        self.write_manifest()
    }

    /// Records the runtime that ran the version in its trial: see [`Manifest::runtime`].
    ///
    /// # Errors
    ///
    /// See [`PublishError`].
    pub fn set_runtime(&mut self, runtime: RuntimeId) -> Result<(), PublishError> {
        self.manifest = self.manifest.clone().with_runtime(runtime);
        self.write_manifest()
    }
}
