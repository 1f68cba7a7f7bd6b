//! The state of a loader between two passes.

use std::collections::{BTreeMap, BTreeSet};

use clarity_breaker::Backoff;

use super::arrivals::Arrivals;
use super::named::NamedEntries;
use crate::seed::seed_for;
use crate::store::{Exposure, ModelFingerprint, VersionFingerprint};
use crate::{Digest, IgnoredEntry, ModelName, ReloadConfig, Version};

/// The state of a loader between two passes.
pub(super) struct LoaderState {
    pub(super) backoff: Backoff,
    /// The fingerprint of the model's directory at the last pass.
    pub(super) last_fingerprint: Option<ModelFingerprint>,
    /// The fingerprints of the loaded versions at their last verification.
    pub(super) verified: BTreeMap<Version, VersionFingerprint>,
    /// The entries that were logged because the server ignores them.
    pub(super) named: NamedEntries,
    /// The entries that look like versions, but are none, at the last scan.
    pub(super) ignored: Vec<IgnoredEntry>,
    pub(super) arrivals: Arrivals,
    /// The digest of the last manifest on disk that was reported as changed, by loaded version.
    pub(super) changed_manifests: BTreeMap<Version, Digest>,
    /// The exposures that the loader has warned about.
    pub(super) exposures: BTreeSet<Exposure>,
}

impl LoaderState {
    /// Returns the state before the first pass.
    pub(super) fn new(model: &ModelName, config: &ReloadConfig) -> Self {
        let seed = seed_for(model.as_str(), config.seed);
        Self {
            backoff: Backoff::new(config.backoff_least, config.backoff_most, seed),
            last_fingerprint: None,
            verified: BTreeMap::new(),
            named: NamedEntries::default(),
            ignored: Vec::new(),
            arrivals: Arrivals::new(config.settle),
            changed_manifests: BTreeMap::new(),
            exposures: BTreeSet::new(),
        }
    }
}
