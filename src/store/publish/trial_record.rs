//! Records of a version's trial in its manifest, before the publication.

use std::collections::BTreeMap;

use super::{PublishError, Staged};
use crate::{RuntimeId, SecondOpinion};

impl Staged {
    /// Overrides the declared ranks of outputs: see
    /// [`Manifest::output_ranks`](crate::Manifest::output_ranks).
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

    /// Records the runtime that ran the version in its trial, and the second opinion: see
    /// [`Manifest::runtime`](crate::Manifest::runtime) and
    /// [`Manifest::second_opinion`](crate::Manifest::second_opinion).
    ///
    /// # Errors
    ///
    /// See [`PublishError`].
    pub fn set_runtime(
        &mut self,
        runtime: RuntimeId,
        second_opinion: Option<SecondOpinion>,
    ) -> Result<(), PublishError> {
        let manifest = self.manifest.clone();
        self.manifest = manifest.with_runtime(runtime, second_opinion);
        self.write_manifest()
    }
}
