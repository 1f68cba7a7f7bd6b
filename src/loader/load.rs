//! The load of one version.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use thiserror::Error;

use crate::background::in_background;
use crate::executor::JobError;
use crate::good_input::GoodInput;
use crate::run_queue::RunQueue;
use crate::runtime::{RuntimeError, TrialOptions, TriedVersion, try_with};
use crate::status::Loaded;
use crate::stopwatch::Stopwatch;
use crate::vetting::Vetted;
use crate::{
    Manifest, ModelName, ProbeError, Quarantine, QuarantineCause, Reason, Runtime, RuntimeRefusal,
    SecondOpinion, SecondOpinionPolicy, Store, VerifiedVersion, VerifyError, Version, Vetting,
    VettingError,
};

/// The reason why a version was not loaded.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error("{error}")]
    Runtime {
        error: Box<RuntimeError>,
        /// The runtimes that do not load the version.
        refusals: Vec<RuntimeRefusal>,
    },
    #[error(transparent)]
    Vetting(#[from] VettingError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error("cannot read the model's directory: {0}")]
    Unreadable(String),
    #[error("cannot read the model's directory: {0}")]
    LinkNotAllowed(String),
    #[error("quarantined since {}: {}", .0.since(), .0.detail())]
    Quarantined(Quarantine),
    #[error("no version on disk")]
    NoVersion,
    #[error(
        "the directory of the version that answers was removed: the version goes on answering from memory"
    )]
    Removed,
}

impl LoadError {
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Verify(error) => error.reason(),
            // The child process for vetting did not start, so nothing is known about the version
            // itself.
            Self::Vetting(VettingError::Unavailable { .. }) => Reason::ModelUnreadable,
            // Nor does the death of a worker.
            Self::Runtime { error, .. } if is_of_worker(error) => Reason::ModelUnreadable,
            Self::Runtime { .. } | Self::Vetting(_) | Self::Job(JobError::Panicked(_)) => {
                Reason::ModelIncompatible
            }
            Self::Job(_) | Self::Unreadable(_) => Reason::ModelUnreadable,
            Self::LinkNotAllowed(_) => Reason::LinkNotAllowed,
            Self::Quarantined(quarantine) => {
                quarantine.cause().reason().unwrap_or(Reason::ModelMissing)
            }
            Self::NoVersion | Self::Removed => Reason::ModelMissing,
        }
    }

    /// The cause for a quarantine; `None` if the error says nothing about the version's bytes.
    fn quarantine_cause(&self) -> Option<QuarantineCause> {
        match self {
            Self::Verify(error) if error.reason() == Reason::ModelCorrupt => {
                Some(QuarantineCause::Corrupt)
            }
            Self::Vetting(error) if error.is_lasting() => Some(QuarantineCause::Incompatible),
            Self::Runtime { error, .. } if says_nothing(error) => None,
            Self::Runtime { .. } => Some(QuarantineCause::Incompatible),
            _ => None,
        }
    }

    fn of_runtime(runtime: &dyn Runtime, error: RuntimeError) -> Self {
        Self::Runtime {
            refusals: RuntimeRefusal::all_of(runtime, &error),
            error: Box::new(error),
        }
    }

    /// The runtimes that do not load the version; empty if the version was refused for another
    /// reason.
    pub(super) fn refusals(&self) -> &[RuntimeRefusal] {
        match self {
            Self::Runtime { refusals, .. } => refusals,
            Self::Vetting(VettingError::Refused { runtimes, .. }) => runtimes,
            _ => &[],
        }
    }

    /// The second opinion for which the version was refused.
    pub(super) fn second_opinion(&self) -> Option<&SecondOpinion> {
        match self {
            Self::Runtime { error, .. } => match &**error {
                RuntimeError::SecondOpinion(opinion) => Some(opinion),
                _ => None,
            },
            Self::Vetting(VettingError::Refused { second_opinion, .. }) => {
                second_opinion.as_deref()
            }
            _ => None,
        }
    }

    /// Whether a copy that is still running can cause this error.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Verify(error) if error.may_pass())
    }

    /// The error of a model's directory that cannot be scanned.
    pub(super) fn of_scan(error: &std::io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(VerifyError::LinkNotAllowed { .. }) => Self::LinkNotAllowed(error.to_string()),
            _ => Self::Unreadable(error.to_string()),
        }
    }

    pub(crate) fn file(&self) -> Option<&str> {
        match self {
            Self::Verify(error) => error.file(),
            _ => None,
        }
    }

    pub(crate) fn expected_and_found(&self) -> Option<(String, String)> {
        match self {
            Self::Verify(error) => error.expected_and_found(),
            _ => None,
        }
    }
}

/// Whether the error says nothing about the version's bytes.
fn says_nothing(error: &RuntimeError) -> bool {
    matches!(error, RuntimeError::OtherRuntime(_)) || is_of_worker(error)
}

/// Whether the error is that of a worker's process rather than of the version.
fn is_of_worker(error: &RuntimeError) -> bool {
    match error {
        RuntimeError::Worker(_) => true,
        RuntimeError::WarmUp(error) | RuntimeError::Probe(ProbeError::Run(error)) => {
            error.is_from_outside()
        }
        _ => false,
    }
}

/// The result of a load, its durations in real time, and the version's quarantine after the load.
pub(super) struct LoadAttempt {
    pub(super) result: Result<Loaded, LoadError>,
    pub(super) verification: Duration,
    pub(super) total: Duration,
    pub(super) quarantine: Option<Quarantine>,
    /// The manifest on disk; `None` if it is missing or invalid.
    pub(super) manifest: Option<Manifest>,
}

/// The parts of a server that one load needs.
#[derive(Clone)]
pub(super) struct LoadContext {
    pub(super) store: Store,
    pub(super) vetting: Arc<Vetting>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) model: ModelName,
    pub(super) allow_unverified: bool,
    /// Whether the version has settled. Otherwise, a failure that may pass is no reason for a
    /// quarantine.
    pub(super) is_settled: bool,
}

impl LoadContext {
    /// Verifies, vets, loads and warms up a version. Then quarantines or releases the version,
    /// depending on the result. Blocks the calling thread.
    ///
    /// Returns [`LoadError::Quarantined`] at once if a quarantine still applies and `forced` is
    /// false.
    pub(super) fn load(&self, version: Version, forced: bool) -> LoadAttempt {
        let stopwatch = Stopwatch::start();
        let before = self.store.quarantined(&self.model, version);
        let held = before.as_ref().filter(|_| !forced);
        let mut manifest = self.store.manifest(&self.model, version).ok();
        let (result, verification) = match (held, &manifest) {
            (Some(held), Some(manifest)) if held.applies_to(manifest, &self.judge()) => {
                (Err(LoadError::Quarantined(held.clone())), Duration::ZERO)
            }
            _ => {
                let verified = in_background(|| match self.allow_unverified {
                    false => self.store.open(&self.model, version),
                    true => self.store.open_unverified(&self.model, version),
                });
                let verification = stopwatch.elapsed();
                // The manifest can have been swapped since it was read above.
                if let Ok(verified) = verified.as_ref().map(VerifiedVersion::manifest)
                    && manifest.is_some()
                {
                    manifest = Some(verified.clone());
                }
                (self.vet_and_load(verified), verification)
            }
        };
        let quarantine = self.update_quarantine(version, before, manifest.as_ref(), &result);
        LoadAttempt {
            result,
            verification,
            total: stopwatch.elapsed(),
            quarantine,
            manifest,
        }
    }

    fn vet_and_load(
        &self,
        verified: Result<VerifiedVersion, VerifyError>,
    ) -> Result<Loaded, LoadError> {
        let verified = verified?;
        let manifest = verified.manifest().clone();
        let vetted = self.vet(&verified)?;
        let is_unverified = verified.is_unverified();
        let options = TrialOptions {
            before: vetted.as_ref().map(|vetted| &vetted.trial),
            runtime: vetted.as_ref().map(|vetted| &vetted.runtime),
            warm_up: self.vetting.warm_up(),
            second_opinion: match &vetted {
                Some(_) => SecondOpinionPolicy::Off,
                None => self.vetting.policy(),
            },
            ..TrialOptions::default()
        };
        let tried = try_with(&*self.runtime, verified, &options);
        let TriedVersion {
            session,
            probe,
            trial,
            runtime,
            passed_over,
            second_opinion,
            ..
        } = tried
            .and_then(|tried| tried.with_second_opinion(&options))
            .map_err(|error| LoadError::of_runtime(&*self.runtime, error))?;
        let (passed_over, second_opinion) = match vetted {
            Some(vetted) => (vetted.passed_over, vetted.second_opinion),
            None => (passed_over, second_opinion),
        };
        Ok(Loaded {
            manifest,
            session,
            probe,
            good_input: GoodInput::default(),
            queue: RunQueue::default(),
            trial,
            runtime,
            passed_over,
            second_opinion,
            is_unverified,
            statistics: Arc::default(),
            runs: OnceLock::new(),
        })
    }

    /// Vets a version in the child, if a child is configured. Logs each step, and the duration.
    fn vet(&self, verified: &VerifiedVersion) -> Result<Option<Vetted>, VettingError> {
        let (model, version) = (&self.model, verified.manifest().version());
        let on_step = |step: &str| tracing::debug!(%model, %version, step, "model version vetting");
        let stopwatch = Stopwatch::start();
        let vetted = in_background(|| self.vetting.vet_with(verified, false, &on_step));
        let seconds = stopwatch.elapsed().as_secs_f64();
        match &vetted {
            Ok(None) => {}
            Ok(Some(Vetted { trial, runtime, .. })) => {
                tracing::info!(%model, %version, seconds, %trial, %runtime, "model version vetted");
            }
            Err(error) => {
                tracing::info!(%model, %version, seconds, detail = %error, "model version failed vetting");
            }
        }
        vetted
    }

    /// The release of this server, and its runtimes.
    fn judge(&self) -> String {
        let candidates = self.runtime.candidates();
        let ids = match candidates {
            [] => vec![self.runtime.id()],
            candidates => candidates.iter().map(|runtime| runtime.id()).collect(),
        };
        let mut judge = env!("CARGO_PKG_VERSION").to_owned();
        for id in ids {
            judge += &format!(", {id}");
        }
        judge
    }

    /// Updates the quarantine marker on disk, and returns the resulting quarantine.
    // On a read-only file system, the marker cannot be changed. Then the next server process does
    // not know the result of this load.
    fn update_quarantine(
        &self,
        version: Version,
        before: Option<Quarantine>,
        manifest: Option<&Manifest>,
        result: &Result<Loaded, LoadError>,
    ) -> Option<Quarantine> {
        let (after, written) = match result
            .as_ref()
            .map_err(|error| (error.quarantine_cause(), error))
        {
            Ok(_) if before.is_none() => (None, Ok(())),
            Ok(_) => (None, self.store.release(&self.model, version).map(drop)),
            Err((_, error)) if !self.is_settled && error.may_pass() => (before.clone(), Ok(())),
            Err((None, _)) => (before.clone(), Ok(())),
            Err((Some(cause), error)) => {
                let now =
                    Quarantine::new(cause, &error.to_string(), manifest).judged_by(self.judge());
                match &before {
                    Some(known) if known.equals_ignoring_time(&now) => (before.clone(), Ok(())),
                    _ => {
                        let written = self.store.mark(&self.model, version, &now);
                        (Some(now), written)
                    }
                }
            }
        };
        if let Err(error) = written {
            let model = &self.model;
            tracing::warn!(%model, %version, detail = %error, "cannot update the quarantine marker");
            // Returns the old quarantine, because the next poll will find the unchanged marker on
            // disk.
            return before;
        }
        after
    }
}
