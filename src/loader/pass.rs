//! One pass over a model's versions on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::arrivals::ArrivalVerdict;
use super::load::{LoadAttempt, LoadContext};
use super::look::Verdicts;
use super::{LoadError, Loader, LoaderState, Trigger, quarantined_status};
use crate::executor::{JobError, JobKind, execute};
use crate::sanitize::sanitize_for_log;
use crate::status::Loaded;
use crate::store::{ModelFingerprint, VersionFingerprint};
use crate::{Quarantine, QuarantineCause, Reason, RuntimeRefusal, Version, VersionStatus};

/// The result of a pass, or of a failed scan.
pub(super) struct PassResult {
    pub(super) versions: BTreeMap<Version, VersionStatus>,
    /// The reason and the error message, if the model's directory could not be read.
    pub(super) unreadable: Option<(Reason, String)>,
    /// The newly loaded version that replaces `loaded`; `None` if no version replaces `loaded`.
    pub(super) fresh: Option<Arc<Loaded>>,
    /// The version that continues to answer if `fresh` is `None`.
    pub(super) loaded: Option<Arc<Loaded>>,
    /// The loaded versions other than the one that answers by default. They answer requests that
    /// name their version number.
    pub(super) others: BTreeMap<Version, Arc<Loaded>>,
}

/// The state of a running pass.
struct LoadPass<'a> {
    loader: &'a Loader,
    fingerprint: &'a ModelFingerprint,
    trigger: Trigger,
    /// The verdicts on the versions that this poll has already looked at.
    verdicts: Verdicts,
    /// The versions that answered before the pass.
    before: BTreeMap<Version, Arc<Loaded>>,
    quarantined: BTreeMap<Version, Quarantine>,
    found: BTreeMap<Version, VersionStatus>,
}

impl Loader {
    /// Tries to load versions, from the newest down to the first good one. Tries all admitted
    /// versions if the policy serves several. Publishes the result. Returns the quarantines that
    /// apply after the pass.
    pub(super) async fn run_pass(
        &self,
        state: &mut LoaderState,
        fingerprint: &ModelFingerprint,
        trigger: Trigger,
        verdicts: Verdicts,
    ) -> BTreeMap<Version, Quarantine> {
        state
            .verified
            .retain(|version, _| fingerprint.versions.contains_key(version));
        state
            .arrivals
            .retain(|version| fingerprint.versions.contains_key(&version));
        let published = self.state.borrow().clone();
        let running = published.loaded;
        let before = running
            .clone()
            .into_iter()
            .chain(published.others.into_values());
        let mut pass = LoadPass {
            loader: self,
            fingerprint,
            trigger,
            verdicts,
            before: before.map(|loaded| (loaded.version(), loaded)).collect(),
            quarantined: fingerprint.quarantined.clone(),
            found: BTreeMap::new(),
        };
        let running_version = running.as_ref().map(|running| running.version());
        // An older version replaces the loaded version only if the operator withdrew the loaded
        // version.
        let oldest_wanted = running_version.filter(|&version| !pass.is_withdrawn(version));
        let mut first = None;
        let mut others = BTreeMap::new();
        for (&version, files) in fingerprint.versions.iter().rev() {
            let has_first = first.is_some() || oldest_wanted > Some(version);
            if pass.is_withdrawn(version)
                || !self.policy.admits(version)
                || (has_first && !self.policy.serves_several())
            {
                pass.skip(version);
            } else if let Some(loaded) = pass.load_or_keep(state, version, files).await {
                match has_first {
                    true => drop(others.insert(version, loaded)),
                    false => first = Some(loaded),
                }
            } else if has_first && let Some(loaded) = pass.before.get(&version) {
                // Keeps this version: its files on disk are refused, but its loaded copy in memory
                // is good.
                others.insert(version, Arc::clone(loaded));
            }
        }
        let LoadPass {
            found, quarantined, ..
        } = pass;
        let is_arriving = |version: Version| {
            let found = found.get(&version);
            matches!(found, Some(VersionStatus::Arriving { .. }))
        };
        state.arrivals.keep_arriving(is_arriving);
        let same = |fresh: &Arc<Loaded>| {
            running
                .as_ref()
                .is_some_and(|running| Arc::ptr_eq(running, fresh))
        };
        let fresh = first.filter(|first| !same(first));
        let has_news = fresh.is_some() || published.status.attempts == 0;
        match running_version {
            None if found.is_empty() => self.report_failure(None, &LoadError::NoVersion),
            Some(version) if fresh.is_none() && !found.contains_key(&version) => {
                self.report_failure(Some(version), &LoadError::Removed)
            }
            _ => {}
        }
        self.publish(
            state,
            PassResult {
                versions: found,
                unreadable: None,
                fresh,
                loaded: running,
                others,
            },
        );
        if has_news {
            self.warn_of_exposures(state).await;
        }
        quarantined
    }

    async fn load(
        &self,
        version: Version,
        forced: bool,
        is_settled: bool,
    ) -> Result<LoadAttempt, JobError> {
        let context = LoadContext {
            store: self.store.clone(),
            vetting: Arc::clone(&self.vetting),
            runtime: Arc::clone(&self.runtime),
            model: self.model.clone(),
            allow_unverified: self.config.allow_unverified,
            is_settled,
        };
        let work = move || context.load(version, forced);
        let attempt = {
            // `acquire` fails only if the semaphore is closed, which never happens. A load without
            // a permit would still be correct.
            let _permit = self.loads.acquire().await.ok();
            execute(&*self.executor, JobKind::Load, Some(&self.model), work).await?
        };
        if !matches!(attempt.result, Err(LoadError::Quarantined(_))) {
            self.metrics.verification_took(attempt.verification);
            self.metrics.load_took(attempt.total);
        }
        Ok(attempt)
    }

    /// Counts and logs the preferred runtimes that refused a version, which another one serves.
    fn report_passed_over(&self, version: Version, passed_over: &[RuntimeRefusal]) {
        self.metrics.runtimes_refused(passed_over);
        for RuntimeRefusal { runtime, why, .. } in passed_over {
            tracing::info!(model = %self.model, %version, %runtime, detail = why, "runtime refused the model version");
        }
    }

    /// Counts and logs the second opinion about a loaded version.
    fn report_second_opinion(&self, version: Version, loaded: &Loaded) {
        self.metrics.second_opinion(loaded.second_opinion.as_ref());
        let (model, runtime) = (&self.model, &loaded.runtime);
        match &loaded.second_opinion {
            Some(opinion) if opinion.is_warning() => {
                tracing::warn!(%model, %version, %runtime, detail = %opinion, "second opinion");
            }
            Some(opinion) => {
                tracing::info!(%model, %version, %runtime, detail = %opinion, "second opinion");
            }
            None => {}
        }
    }
}

impl LoadPass<'_> {
    fn is_withdrawn(&self, version: Version) -> bool {
        let held = self.fingerprint.quarantined.get(&version);
        held.is_some_and(|held| held.cause() == QuarantineCause::Operator)
    }

    /// Records the status of a version that the pass does not try to load.
    fn skip(&mut self, version: Version) {
        let held = self.fingerprint.quarantined.get(&version);
        let status = held.map_or(VersionStatus::Standby, quarantined_status);
        self.found.insert(version, status);
    }

    /// The verdict on a version. A loaded version has settled, so damage to its files is reported
    /// at once.
    async fn verdict(
        &mut self,
        state: &mut LoaderState,
        version: Version,
        is_loaded: bool,
    ) -> Result<ArrivalVerdict, JobError> {
        if is_loaded {
            return Ok(ArrivalVerdict::Settled);
        }
        match self.verdicts.remove(&version) {
            Some(verdict) => Ok(verdict),
            None => self.loader.look(state, version, self.trigger).await,
        }
    }

    fn arriving(&mut self, version: Version, detail: String) -> Option<Arc<Loaded>> {
        self.loader.report_arriving(version, &detail);
        self.found
            .insert(version, VersionStatus::Arriving { detail });
        None
    }

    /// Loads a version, or keeps its loaded copy if the version's manifest did not change. Returns
    /// `None` if the version is refused.
    async fn load_or_keep(
        &mut self,
        state: &mut LoaderState,
        version: Version,
        files: &VersionFingerprint,
    ) -> Option<Arc<Loaded>> {
        let before = self.before.get(&version).cloned();
        let is_held = self.fingerprint.quarantined.contains_key(&version);
        let is_unchanged = |before: &Loaded| {
            let verified = state.verified.get(&version);
            !is_held && verified.is_some_and(|then| files.agrees_on_listed(then, &before.manifest))
        };
        if let (Some(before), Trigger::Due) = (&before, self.trigger)
            && is_unchanged(before)
        {
            let unlisted = files.unlisted(&before.manifest);
            state
                .named
                .log_unlisted(&self.loader.model, version, unlisted);
            self.found.insert(version, VersionStatus::Serving);
            return Some(Arc::clone(before));
        }
        let forced = self.trigger == Trigger::Requested;
        let is_loaded = before.is_some();
        let is_settled = match self.verdict(state, version, is_loaded).await {
            Ok(ArrivalVerdict::Arriving(detail)) => return self.arriving(version, detail),
            Ok(verdict) => verdict == ArrivalVerdict::Settled,
            Err(error) => return self.refuse(version, &error.into()),
        };
        let began = Instant::now();
        let attempt = self.loader.load(version, forced, is_settled).await;
        if let Ok(attempt) = &attempt {
            match attempt.quarantine.clone() {
                Some(quarantine) => self.quarantined.insert(version, quarantine),
                None => self.quarantined.remove(&version),
            };
            if let Some(before) = &before {
                let manifest = attempt.manifest.as_ref();
                self.loader.report_changed_manifest(state, before, manifest);
            }
        }
        match attempt
            .map_err(LoadError::from)
            .and_then(|attempt| attempt.result)
        {
            Ok(mut fresh) => {
                if self.loader.metrics.has_begun() {
                    let _ = fresh.runs_in(&self.loader.metrics);
                }
                if let Some(before) = &before {
                    fresh.statistics = Arc::clone(&before.statistics);
                }
                let unlisted = files.unlisted(&fresh.manifest);
                state
                    .named
                    .log_unlisted(&self.loader.model, version, unlisted);
                report_trial(&fresh);
                self.loader.report_passed_over(version, &fresh.passed_over);
                self.loader.report_second_opinion(version, &fresh);
                self.found.insert(version, VersionStatus::Serving);
                state.verified.insert(version, files.clone());
                let same = before.filter(|before| before.manifest == fresh.manifest);
                Some(same.unwrap_or_else(|| Arc::new(fresh)))
            }
            Err(error) if !is_settled && error.may_pass() => {
                let detail = error.to_string();
                let now = Instant::now();
                state.arrivals.refused(version, &detail, began, now);
                self.arriving(version, detail)
            }
            Err(error) => self.refuse(version, &error),
        }
    }

    fn refuse(&mut self, version: Version, error: &LoadError) -> Option<Arc<Loaded>> {
        self.loader.report_failure(Some(version), error);
        let (reason, detail) = (error.reason(), error.to_string());
        self.found
            .insert(version, VersionStatus::Refused { reason, detail });
        None
    }
}

/// Warns about a loaded version that is unprobed, or that declares a wrong rank of an output.
fn report_trial(loaded: &Loaded) {
    let (model, version) = (loaded.manifest.model(), loaded.version());
    if let Some(detail) = loaded.trial.unprobed_detail() {
        let advice = format!("add a probe: clarity probe {model} request.json");
        tracing::warn!(%model, %version, detail, advice, "model version unprobed");
    }
    for (output, rank) in loaded.manifest.output_ranks() {
        let output = sanitize_for_log(output);
        let rank = rank.map_or_else(|| "any".to_owned(), |rank| rank.to_string());
        tracing::warn!(%model, %version, output, rank, "declared rank of an output overridden");
    }
}
