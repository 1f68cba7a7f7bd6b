//! The public status of a model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::manifest::Manifest;
use crate::{Digest, ModelName, Probe, Reason, Session, Version};

/// The status of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelStatus {
    /// The model.
    pub model: ModelName,
    /// The version that answers, with the digest of its entry file; `None` when no version is
    /// valid.
    pub serving: Option<(Version, Digest)>,
    /// Why the answering version is not the one that the disk should provide.
    ///
    /// Set when a newer version is refused, or when the answering one was damaged or removed on
    /// disk and lives in memory only. `None` when the model is healthy or nothing answers.
    pub degraded: Option<Reason>,
    /// The versions on disk at the last attempt.
    pub versions: BTreeMap<Version, VersionStatus>,
    /// Why the model's directory was unreadable at the last attempt, if it was.
    pub unreadable: Option<String>,
    /// The number of finished load attempts. 0 means that the first load is still running.
    pub attempts: u64,
    /// The time of the next attempt if the disk does not change; `None` when the model is healthy.
    pub next_attempt: Option<Instant>,
}

/// The status of a version on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionStatus {
    /// It answers, and its files were valid when last read.
    Serving,
    /// Not checked: a newer version answers, or the model's [`VersionPolicy`](crate::VersionPolicy)
    /// excludes it.
    Standby,
    /// The operator has withdrawn it ([`Store::quarantine`](crate::Store::quarantine)).
    ///
    /// If it is the answering version, it continues until another one can replace it.
    Withdrawn {
        /// The operator's reason.
        detail: String,
    },
    /// It is not served; or it answers from memory, and a reload failed.
    Refused {
        /// The reason code.
        reason: Reason,
        /// The reason as a sentence.
        detail: String,
    },
}

impl ModelStatus {
    pub(crate) fn loading(model: ModelName) -> Self {
        Self {
            model,
            serving: None,
            degraded: None,
            versions: BTreeMap::new(),
            unreadable: None,
            attempts: 0,
            next_attempt: None,
        }
    }

    /// Why nothing answers: the failure of the newest version. `None` when a version answers.
    pub fn unavailable(&self) -> Option<(Reason, String)> {
        if self.serving.is_some() {
            return None;
        }
        if self.attempts == 0 {
            return Some((
                Reason::ModelLoading,
                "the first load is still running".to_owned(),
            ));
        }
        if let Some(detail) = &self.unreadable {
            return Some((Reason::ModelUnreadable, detail.clone()));
        }
        let refused = |(version, status): (&Version, &VersionStatus)| match status {
            VersionStatus::Refused { reason, detail } => {
                Some((*reason, format!("version {version}: {detail}")))
            }
            _ => None,
        };
        let newest = self.versions.iter().rev().find_map(refused);
        Some(newest.unwrap_or_else(|| match self.versions.is_empty() {
            false => (
                Reason::ModelMissing,
                "all versions are withdrawn or excluded by the version policy".to_owned(),
            ),
            true => (Reason::ModelMissing, "no version on disk".to_owned()),
        }))
    }

    /// The time until the next attempt; `None` when the model is healthy.
    pub fn retry_after(&self) -> Option<Duration> {
        self.next_attempt
            .map(|next| next.saturating_duration_since(Instant::now()))
    }
}

/// A version that is loaded and has passed its warm-up. Immutable: a reload replaces it.
pub(crate) struct Loaded {
    pub(crate) manifest: Manifest,
    pub(crate) session: Box<dyn Session>,
    pub(crate) probe: Option<Probe>,
    /// Whether the version has no manifest on disk.
    pub(crate) is_unverified: bool,
}

impl Loaded {
    /// Whether it has a probe and repeats the recorded answer. Runs the model, so it may block.
    pub(crate) fn passes_probe(&self) -> bool {
        let probe = self.probe.as_ref();
        probe.is_some_and(|probe| probe.run(&*self.session).is_ok())
    }

    pub(crate) fn version(&self) -> Version {
        self.manifest.version()
    }
}

/// A consistent snapshot from a model's loader to its predictor: the loaded versions and the
/// status.
#[derive(Clone)]
pub(crate) struct ModelState {
    pub(crate) loaded: Option<Arc<Loaded>>,
    /// Older loaded versions, for requests that name them.
    pub(crate) others: BTreeMap<Version, Arc<Loaded>>,
    /// Whether the model never had a version, which exempts it from readiness.
    pub(crate) vacant: bool,
    pub(crate) status: Arc<ModelStatus>,
}

impl std::fmt::Debug for ModelState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.status.fmt(f)
    }
}
