//! The public status of a model.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

use crate::good_input::GoodInput;
use crate::manifest::Manifest;
use crate::metrics::{ModelMetrics, VersionStatistics};
use crate::run_queue::RunQueue;
use crate::{
    Digest, IgnoredEntry, ModelName, Probe, Reason, RuntimeId, RuntimeRefusal, SecondOpinion,
    Session, Trial, Version,
};

/// The status of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelStatus {
    /// The name of the model.
    pub model: ModelName,
    /// The version that answers, and the digest of its entry file. `None` if no version answers.
    pub serving: Option<(Version, Digest)>,
    /// The reason why the model is degraded; `None` if the model is healthy or no version answers.
    ///
    /// A model is degraded when a version newer than the answering version is refused. It is also
    /// degraded when the answering version was damaged, removed or withdrawn on disk. Such a
    /// version answers from memory only.
    pub degraded: Option<Reason>,
    /// The status of each version on disk at the last load attempt.
    pub versions: BTreeMap<Version, VersionStatus>,
    /// The entries of the model's directory that look like versions, but are none.
    pub ignored: Vec<IgnoredEntry>,
    /// The reason and the error that made the model's directory unreadable at the last load
    /// attempt. `None` if the directory was readable.
    pub unreadable: Option<(Reason, String)>,
    /// The number of finished load attempts. 0 means that the first attempt is still running.
    pub attempts: u64,
    /// The time of the next load attempt, unless a change on disk causes an earlier attempt. `None`
    /// when no retry is needed.
    pub next_attempt: Option<Instant>,
}

/// The status of a version on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionStatus {
    /// The version answers, and its files were valid when they were last read.
    Serving,
    /// The version was not checked: a newer version answers, or the model's
    /// [`VersionPolicy`](crate::VersionPolicy) excludes this version.
    Standby,
    /// The operator has withdrawn the version ([`Store::quarantine`](crate::Store::quarantine)).
    ///
    /// If the withdrawn version is answering, it continues to answer until another version can
    /// replace it.
    Withdrawn {
        /// The reason that the operator gave.
        detail: String,
    },
    /// The version is incomplete or does not match its manifest yet, and its files changed less
    /// than [`ReloadConfig::settle`](crate::ReloadConfig::settle) ago.
    ///
    /// The version is still being copied, as far as the server knows. It is neither refused nor
    /// quarantined, and does not make the model degraded.
    Arriving {
        /// The part that is incomplete, as a sentence.
        detail: String,
    },
    /// The version was refused. If it was loaded before, it can still answer from memory.
    Refused {
        /// The reason as a code, for programs.
        reason: Reason,
        /// The reason as a sentence, for humans.
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
            ignored: Vec::new(),
            unreadable: None,
            attempts: 0,
            next_attempt: None,
        }
    }

    /// The reason why no version answers: usually the failure of the newest refused version, or
    /// the state of the newest arriving one. `None`
    /// when a version answers.
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
        if let Some(unreadable) = &self.unreadable {
            return Some(unreadable.clone());
        }
        let refused = |(version, status): (&Version, &VersionStatus)| match status {
            VersionStatus::Refused { reason, detail } => {
                Some((*reason, format!("version {version}: {detail}")))
            }
            VersionStatus::Arriving { detail } => {
                Some((Reason::ModelArriving, arriving(*version, detail)))
            }
            _ => None,
        };
        let newest = self.versions.iter().rev().find_map(refused);
        let (reason, mut detail) = newest.unwrap_or_else(|| match self.versions.is_empty() {
            false => (
                Reason::ModelMissing,
                "all versions are withdrawn or excluded by the version policy".to_owned(),
            ),
            true => (Reason::ModelMissing, "no version on disk".to_owned()),
        });
        detail.push_str(&self.describe_ignored());
        Some((reason, detail))
    }

    /// Names the ignored entries, after a separator. Empty if there are none.
    fn describe_ignored(&self) -> String {
        const MOST: usize = 5;
        let mut text = String::new();
        for (place, IgnoredEntry { name, why }) in self.ignored.iter().take(MOST).enumerate() {
            let is_next_same = self
                .ignored
                .get(place + 1)
                .is_some_and(|next| next.why == *why);
            let separator = if place == 0 { "; ignored: " } else { ", " };
            text.push_str(&format!("{separator}{name}"));
            if !is_next_same || place + 1 == MOST {
                text.push_str(&format!(" ({why})"));
            }
        }
        match self.ignored.len().saturating_sub(MOST) {
            0 => text,
            more => format!("{text}, and {more} more"),
        }
    }

    /// The number of versions that are still arriving.
    pub(crate) fn arriving(&self) -> usize {
        let arriving = |status: &&VersionStatus| matches!(status, VersionStatus::Arriving { .. });
        self.versions.values().filter(arriving).count()
    }

    /// The time until the next load attempt; `None` when no retry is needed.
    pub fn retry_after(&self) -> Option<Duration> {
        self.next_attempt
            .map(|next| next.saturating_duration_since(Instant::now()))
    }
}

/// The sentence about a version that is still arriving.
pub(crate) fn arriving(version: Version, detail: &str) -> String {
    format!("version {version} is still arriving: {detail}")
}

/// A version that is loaded and has passed its warm-up. Immutable: a reload replaces the whole
/// value. Only its [`good_input`](Self::good_input) changes.
pub(crate) struct Loaded {
    pub(crate) manifest: Manifest,
    pub(crate) session: Box<dyn Session>,
    pub(crate) probe: Option<Probe>,
    /// The last input that the version answered; empty if the version has a probe.
    pub(crate) good_input: GoodInput,
    /// The predictions that wait for a thread of the session.
    pub(crate) queue: RunQueue,
    /// The result of the trial before the version was swapped in.
    pub(crate) trial: Trial,
    /// The runtime of the session.
    pub(crate) runtime: RuntimeId,
    /// The preferred runtimes that refused the version.
    pub(crate) passed_over: Vec<RuntimeRefusal>,
    /// The second opinion; `None` if it was not wanted, or there is only one runtime.
    pub(crate) second_opinion: Option<SecondOpinion>,
    /// Whether the version has no manifest on disk.
    pub(crate) is_unverified: bool,
    pub(crate) statistics: Arc<VersionStatistics>,
    /// Counts the runs for prediction requests, from the first one on.
    pub(crate) runs: OnceLock<Counter>,
}

impl Loaded {
    pub(crate) fn version(&self) -> Version {
        self.manifest.version()
    }

    /// The counter of the runs for prediction requests, among the metrics of the model.
    pub(crate) fn runs_in(&self, metrics: &ModelMetrics) -> &Counter {
        self.runs.get_or_init(|| metrics.runs_with(&self.runtime))
    }
}

/// A consistent snapshot of a model's loaded versions and status, which the loader sends to the
/// predictor.
#[derive(Clone)]
pub(crate) struct ModelState {
    pub(crate) loaded: Option<Arc<Loaded>>,
    /// The loaded versions other than `loaded`, for requests that name a version.
    pub(crate) others: BTreeMap<Version, Arc<Loaded>>,
    /// Whether the model never had a version. Such a model does not delay the server's readiness.
    pub(crate) vacant: bool,
    pub(crate) status: Arc<ModelStatus>,
}

impl std::fmt::Debug for ModelState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.status.fmt(f)
    }
}
