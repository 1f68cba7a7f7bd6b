//! How a model is, as anyone may ask.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::manifest::Manifest;
use crate::{Digest, ModelName, Probe, Reason, Session, Version};

/// How a model is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelStatus {
    /// The model.
    pub model: ModelName,
    /// The version that answers, with the digest of its entry file; none when no version is good.
    pub serving: Option<(Version, Digest)>,
    /// Why what answers is not what the disk should give: a newer version is refused, or the one that answers has
    /// since been damaged or removed on disk and lives in memory only. None when all is well, or nothing answers.
    pub degraded: Option<Reason>,
    /// The versions on disk as the last attempt found them.
    pub versions: BTreeMap<Version, VersionStatus>,
    /// Why the model's directory could not be looked at the last time; none when it could.
    pub unreadable: Option<String>,
    /// Attempts to load that have ended. 0 means that the model is still loading for the first time.
    pub attempts: u64,
    /// When the next attempt is made if nothing changes on disk; none when there is nothing to mend.
    pub next_attempt: Option<Instant>,
}

/// How a version on disk is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionStatus {
    /// It answers, and its files were good when last read.
    Serving,
    /// It has not been looked into, since a newer one answers, or it is left out by the model's
    /// [`VersionPolicy`](crate::VersionPolicy).
    Standby,
    /// The operator has withdrawn it ([`Store::quarantine`](crate::Store::quarantine)). If it is the one that answers, it
    /// does so until another can.
    Withdrawn {
        /// What the operator said.
        detail: String,
    },
    /// It is not served, or, if it answers from memory, could not be loaded again.
    Refused {
        /// The reason in a word.
        reason: Reason,
        /// The reason in a sentence.
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

    /// Why nothing answers: the reason of the newest version. None when something does.
    pub fn unavailable(&self) -> Option<(Reason, String)> {
        if self.serving.is_some() {
            return None;
        }
        if self.attempts == 0 {
            return Some((
                Reason::ModelLoading,
                "no version has been tried yet".to_owned(),
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
                "no version may be served: all are withdrawn or left out".to_owned(),
            ),
            true => (
                Reason::ModelMissing,
                "there is no version on disk".to_owned(),
            ),
        }))
    }

    /// How long until the next attempt; none when there is nothing to mend.
    pub fn retry_after(&self) -> Option<Duration> {
        self.next_attempt
            .map(|next| next.saturating_duration_since(Instant::now()))
    }
}

/// A version that is loaded and has passed its warm-up. It never changes: another takes its place.
pub(crate) struct Loaded {
    pub(crate) manifest: Manifest,
    pub(crate) session: Box<dyn Session>,
    pub(crate) probe: Option<Probe>,
    /// Whether nobody has promised its bytes.
    pub(crate) is_unverified: bool,
}

impl Loaded {
    /// Whether it has a probe, and answers that as was recorded. Runs the model, so it may block.
    pub(crate) fn passes_probe(&self) -> bool {
        let probe = self.probe.as_ref();
        probe.is_some_and(|probe| probe.run(&*self.session).is_ok())
    }

    pub(crate) fn version(&self) -> Version {
        self.manifest.version()
    }
}

/// What a model's loader publishes, and its predictor reads: what answers, and how the model is, always of one moment.
#[derive(Clone)]
pub(crate) struct ModelState {
    pub(crate) loaded: Option<Arc<Loaded>>,
    /// What answers beside it, to requests for just that version.
    pub(crate) others: BTreeMap<Version, Arc<Loaded>>,
    /// Whether there never was a version, so that nobody can miss one.
    pub(crate) vacant: bool,
    pub(crate) status: Arc<ModelStatus>,
}

impl std::fmt::Debug for ModelState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.status.fmt(f)
    }
}
