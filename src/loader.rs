//! The loader: the task that keeps one model loaded.

mod arrivals;
mod disk_watch;
mod exposure_warning;
mod load;
mod look;
mod manifest_change;
mod named;
mod pass;
mod scans;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clarity_breaker::Breaker;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use self::arrivals::ArrivalVerdict;
pub(crate) use self::disk_watch::DiskWatch;
pub(crate) use self::load::LoadError;
use self::pass::PassResult;
pub(crate) use self::scans::Scans;
use self::scans::change_after;
use self::state::LoaderState;
use crate::executor::{Executor, infer};
use crate::metrics::ModelMetrics;
use crate::status::{Loaded, ModelState};
use crate::{
    ModelName, ModelStatus, ProbeError, Quarantine, Reason, ReloadConfig, Runtime, Store, Version,
    VersionPolicy, VersionStatus, Vetting,
};

/// Requests a pass over the model's versions, even if nothing changed on disk. The loader sends
/// `()` after the pass.
pub(crate) type ReloadRequest = oneshot::Sender<()>;

/// Keeps one model loaded.
///
/// Serves the newest version that can be verified, loaded and warmed up. A loaded version stays in
/// memory. It continues to answer if another version fails. It also continues to answer if its own
/// files are damaged or removed. Changes on disk take effect at the next poll. With many models,
/// polls are rarer: see [`Scans`]. A bad version whose files do not change is retried with growing
/// delays. A version that is still being copied is neither loaded nor refused.
pub(crate) struct Loader {
    pub(crate) model: ModelName,
    pub(crate) store: Store,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) vetting: Arc<Vetting>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) metrics: Arc<ModelMetrics>,
    pub(crate) state: watch::Sender<ModelState>,
    /// Limits the number of concurrent loads across all models, because each load takes memory and
    /// a child process for vetting.
    pub(crate) loads: Arc<Semaphore>,
    pub(crate) scans: Arc<Scans>,
    pub(crate) disk: Arc<DiskWatch>,
    /// Woken when a watched directory of the model has changed.
    pub(crate) changed: Arc<Notify>,
    pub(crate) requests: mpsc::UnboundedReceiver<ReloadRequest>,
    pub(crate) config: ReloadConfig,
    /// The policy that selects the versions that answer.
    pub(crate) policy: VersionPolicy,
    /// The timeout of a probe.
    pub(crate) deadline: Duration,
}

/// The trigger of a pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// A poll, a retry or a probe is due.
    Due,
    /// A caller requested a reload. The pass loads each version that it tries, even if the
    /// version's files did not change.
    Requested,
}

impl Loader {
    /// Runs until the task is aborted or all senders of reload requests are dropped.
    pub(crate) async fn run(mut self) {
        let mut state = LoaderState::new(&self.model, &self.config);
        let mut requested: Vec<ReloadRequest> = Vec::new();
        let mut next_probe = Instant::now() + self.config.probe;
        loop {
            let trigger = if requested.is_empty() {
                Trigger::Due
            } else {
                Trigger::Requested
            };
            if Instant::now() >= next_probe {
                if !self.all_pass_probes().await {
                    self.stop_serving(&mut state);
                }
                next_probe = Instant::now() + self.config.probe;
            }
            let scanned = Instant::now();
            self.poll_disk(&mut state, trigger).await;
            for request in requested.drain(..) {
                // An error means that the caller stopped waiting.
                let _ = request.send(());
            }
            let now = Instant::now();
            let poll = now + self.scans.interval(self.config.poll);
            let look = state.arrivals.next_look(now, self.config.poll);
            let attempt = self.status().next_attempt;
            let attempt = attempt.filter(|_| !self.waits_for_arrivals());
            let next = [attempt, look, Some(next_probe)].into_iter().flatten();
            let next = next.fold(poll, Instant::min);
            let earliest = next.min(scanned + self.config.poll);
            tokio::select! {
                () = sleep_until(next) => {}
                () = change_after(&self.changed, earliest) => {}
                request = self.requests.recv() => match request {
                    None => return,
                    Some(request) => requested.push(request),
                }
            }
            while let Ok(request) = self.requests.try_recv() {
                requested.push(request);
            }
        }
    }

    /// Scans the model's directory. Runs a pass if the directory changed, if a retry is due, or if
    /// a caller requested a reload.
    async fn poll_disk(&self, state: &mut LoaderState, trigger: Trigger) {
        // Scans the directory before the files are read. So if a file changes while it is read, the
        // next poll sees a difference.
        let mut fingerprint = match self.scan().await {
            Ok(fingerprint) => fingerprint,
            Err(error) => return self.scan_failed(state, trigger, &error),
        };
        let verdicts = self.look_again(state, &fingerprint, trigger).await;
        let is_ready = |verdict: &ArrivalVerdict| !matches!(verdict, ArrivalVerdict::Arriving(_));
        let before = state.last_fingerprint.as_ref();
        let changed = before.is_none_or(|before| state.arrivals.differ(before, &fingerprint))
            || verdicts.values().any(is_ready);
        if changed {
            state.backoff.reset();
            state.named.log_ignored(&self.model, &fingerprint.ignored);
            state.ignored.clone_from(&fingerprint.ignored);
        }
        if changed || trigger != Trigger::Due || self.is_due() {
            let quarantined = self.run_pass(state, &fingerprint, trigger, verdicts).await;
            // The pass itself changes quarantines. The next poll must not treat the changed
            // quarantines as a change on disk.
            fingerprint.quarantined = quarantined;
            state.last_fingerprint = Some(fingerprint);
        } else {
            self.still_arriving(state, verdicts);
        }
    }

    fn is_due(&self) -> bool {
        let next = self.status().next_attempt;
        next.is_some_and(|next| Instant::now() >= next) && !self.waits_for_arrivals()
    }

    /// Counts and logs one failed load or scan.
    ///
    /// Does not count the failure of a version that is already quarantined: this failure was
    /// counted when the quarantine began. Logs it only when this server first finds the quarantine.
    fn report_failure(&self, version: Option<Version>, error: &LoadError) {
        let reason = error.reason();
        if let LoadError::Quarantined(_) = error {
            let status = self.status();
            let known = version.and_then(|version| status.versions.get(&version));
            if !matches!(known, Some(VersionStatus::Refused { .. })) {
                let version = version.map(tracing::field::display);
                tracing::warn!(model = %self.model, version, %reason, detail = %error, "model version quarantined");
            }
            return;
        }
        self.metrics.load_failed(reason);
        self.metrics.runtimes_refused(error.refusals());
        self.metrics.second_opinion(error.second_opinion());
        if reason == Reason::ModelCorrupt {
            self.metrics.verification_failed();
        }
        let (expected, found) = error.expected_and_found().unzip();
        tracing::error!(
            model = %self.model,
            version = version.map(tracing::field::display),
            %reason,
            file = error.file(),
            expected,
            found,
            detail = %error,
            "model version refused"
        );
    }

    /// Records that the model's directory cannot be read. Loaded versions continue to answer.
    fn scan_failed(&self, state: &mut LoaderState, trigger: Trigger, error: &LoadError) {
        let is_news = state.last_fingerprint.take().is_some() || self.status().attempts == 0;
        if !is_news && !self.is_due() && trigger == Trigger::Due {
            return;
        }
        self.report_failure(None, error);
        let refused = |version| {
            (
                version,
                VersionStatus::Refused {
                    reason: error.reason(),
                    detail: error.to_string(),
                },
            )
        };
        let known = self
            .status()
            .versions
            .keys()
            .copied()
            .map(refused)
            .collect();
        state.verified.clear();
        let before = self.state.borrow().clone();
        let result = PassResult {
            versions: known,
            unreadable: Some((error.reason(), error.to_string())),
            fresh: None,
            loaded: before.loaded,
            others: before.others,
        };
        self.publish(state, result);
    }

    /// Replaces the loaded versions and the status in one step. Only this method replaces them.
    fn publish(&self, state: &mut LoaderState, result: PassResult) {
        let PassResult {
            versions,
            unreadable,
            fresh,
            loaded,
            others,
        } = result;
        let before = self.state.borrow().clone();
        let loaded = fresh.clone().or(loaded);
        let serving = loaded
            .as_ref()
            .map(|loaded| (loaded.version(), loaded.manifest.digest()));
        let degraded = serving.and_then(|(version, _)| degradation(version, &versions));
        let is_refused = |status: &VersionStatus| matches!(status, VersionStatus::Refused { .. });
        // If the policy serves several versions, a retry is planned while any version is refused.
        let wants_retry = self.policy.serves_several() && versions.values().any(is_refused);
        let healthy = serving.is_some() && degraded.is_none() && !wants_retry;
        let now = Instant::now();
        let next_look = state.arrivals.next_look(now, self.config.poll);
        let waits_for_arrivals = serving.is_none() && !versions.values().any(is_refused);
        let next_attempt = match next_look.filter(|_| waits_for_arrivals && unreadable.is_none()) {
            Some(look) => Some(look),
            None => (!healthy).then(|| now + state.backoff.next_delay()),
        };
        let attempts = before.status.attempts + 1;
        let status = ModelStatus {
            model: self.model.clone(),
            serving,
            degraded,
            versions,
            ignored: state.ignored.clone(),
            unreadable,
            attempts,
            next_attempt,
        };
        self.metrics.now_arriving(status.arriving());
        let was_there = !status.versions.is_empty() || status.unreadable.is_some();
        let vacant = before.vacant && !was_there;
        if let (Some(loaded), Some((version, digest))) = (&fresh, serving) {
            let runtime = &loaded.runtime;
            self.metrics.now_serving(version, digest, runtime);
            tracing::info!(model = %self.model, %version, %digest, %runtime, "model version loaded");
            self.metrics
                .serving_unprobed(loaded.trial.unprobed_detail().is_some());
        }
        if serving.is_none() {
            self.metrics.stopped_serving();
        }
        self.state.send_replace(ModelState {
            loaded,
            others,
            vacant,
            status: Arc::new(status),
        });
        if fresh.is_some() {
            // Resets the breaker after the swap of versions, so the breaker counts only failures of
            // the new version.
            self.breaker.reset();
        }
    }

    /// Runs the probes of the loaded versions, up to the first failed probe. Returns false if a
    /// probe failed.
    async fn all_pass_probes(&self) -> bool {
        let ModelState { loaded, others, .. } = self.state.borrow().clone();
        for loaded in loaded.into_iter().chain(others.into_values()) {
            if !self.passes_probe(loaded).await {
                return false;
            }
        }
        true
    }

    /// Drops all loaded versions. The model answers again after the next successful load.
    // A wrong answer is worse than no answer.
    fn stop_serving(&self, state: &mut LoaderState) {
        let wrong = |&version: &Version| {
            let detail = "its answer to the probe differs from the recorded one".to_owned();
            let reason = Reason::ModelIncompatible;
            (version, VersionStatus::Refused { reason, detail })
        };
        let result = PassResult {
            versions: self.status().versions.keys().map(wrong).collect(),
            unreadable: None,
            fresh: None,
            loaded: None,
            others: BTreeMap::new(),
        };
        self.publish(state, result);
        // Without a fingerprint, the next poll runs a pass, which loads versions again.
        state.last_fingerprint = None;
    }

    /// Runs the probe of a version. Returns false only if the probe ran in time and failed. So a
    /// version without a probe passes.
    // A probe that timed out, or that the executor refused, does not prove a wrong answer.
    async fn passes_probe(&self, loaded: Arc<Loaded>) -> bool {
        let version = loaded.version();
        if loaded.probe.is_none() {
            return true;
        }
        let probed = Arc::clone(&loaded);
        let work = move || {
            let probe = probed.probe.as_ref();
            probe.map_or(Ok(()), |probe| probe.run(&*probed.session))
        };
        let job = infer(&*self.executor, &self.model, &loaded, work);
        match timeout(self.deadline, job).await {
            Ok(Ok(Err(ProbeError::Run(error)))) if error.is_from_outside() => {
                tracing::debug!(model = %self.model, %version, detail = %error, "not probed");
                true
            }
            Ok(Ok(Err(error))) => {
                self.metrics.probe_failed();
                tracing::error!(model = %self.model, %version, detail = %error, "probe failed");
                false
            }
            Ok(Ok(Ok(()))) => true,
            Ok(Err(error)) => {
                tracing::debug!(model = %self.model, %version, detail = %error, "not probed");
                true
            }
            Err(_) => {
                tracing::debug!(model = %self.model, %version, "probe timed out");
                true
            }
        }
    }

    fn status(&self) -> Arc<ModelStatus> {
        Arc::clone(&self.state.borrow().status)
    }
}

/// The status of a quarantined version.
fn quarantined_status(held: &Quarantine) -> VersionStatus {
    let detail = held.detail().to_owned();
    match held.cause().reason() {
        Some(reason) => VersionStatus::Refused { reason, detail },
        None => VersionStatus::Withdrawn { detail },
    }
}

/// The reason why a model is degraded when `serving` is the version that answers. `None` if the
/// model is not degraded.
fn degradation(serving: Version, versions: &BTreeMap<Version, VersionStatus>) -> Option<Reason> {
    if let None | Some(VersionStatus::Withdrawn { .. }) = versions.get(&serving) {
        return Some(Reason::ModelMissing);
    }
    versions
        .range(serving..)
        .rev()
        .find_map(|(_, status)| match status {
            VersionStatus::Refused { reason, .. } => Some(*reason),
            _ => None,
        })
}
