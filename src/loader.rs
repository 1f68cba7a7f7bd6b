//! The task that keeps a model loaded: it looks at the disk, verifies, loads, swaps, and never gives up.

mod attempt;
mod load;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clarity_breaker::{Backoff, Breaker};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use self::attempt::Findings;
pub(crate) use self::load::LoadError;
use crate::executor::{Executor, JobKind, execute, infer};
use crate::metrics::ModelMetrics;
use crate::seed::seed_for;
use crate::status::{Loaded, ModelState};
use crate::store::{ModelFingerprint, VersionFingerprint};
use crate::{
    ModelName, ModelStatus, Quarantine, Reason, ReloadConfig, Runtime, Store, Version,
    VersionPolicy, VersionStatus, Vetting,
};

/// Asks a loader to look at the disk now, whether anything seems to have changed or not; answered when it has.
pub(crate) type ReloadRequest = oneshot::Sender<()>;

/// Keeps one model loaded.
///
/// It serves the newest version that verifies, loads and passes its warm-up. Whatever fails leaves the version that
/// answers untouched: that lives in memory, so damage or removal on disk cannot reach it either. Changes on disk are
/// acted on at the next poll; a bad version is also tried again without any, with growing delays.
pub(crate) struct Loader {
    pub(crate) model: ModelName,
    pub(crate) store: Store,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) vetting: Arc<Vetting>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) metrics: Arc<ModelMetrics>,
    pub(crate) state: watch::Sender<ModelState>,
    /// Places for loads of all models together: each takes memory, and a child to vet it in.
    pub(crate) loads: Arc<Semaphore>,
    pub(crate) requests: mpsc::UnboundedReceiver<ReloadRequest>,
    pub(crate) config: ReloadConfig,
    /// Which versions are to answer.
    pub(crate) policy: VersionPolicy,
    /// How long the model may take to answer its probe.
    pub(crate) deadline: Duration,
}

/// Why a loader looks at the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// It is time to.
    Due,
    /// Somebody asked: what is known is not taken for granted.
    Asked,
}

/// What a loader remembers between two looks at the disk.
struct Memory {
    backoff: Backoff,
    /// The disk as of the last attempt.
    seen: Option<ModelFingerprint>,
    /// The files of the versions that answer, as of when they were last verified.
    good: BTreeMap<Version, VersionFingerprint>,
}

impl Loader {
    /// Runs until it is aborted, or until nobody can ask it anything any more.
    pub(crate) async fn run(mut self) {
        let seed = seed_for(self.model.as_str(), self.config.seed);
        let backoff = Backoff::new(self.config.backoff_least, self.config.backoff_most, seed);
        let mut memory = Memory {
            backoff,
            seen: None,
            good: BTreeMap::new(),
        };
        let mut asked: Vec<ReloadRequest> = Vec::new();
        let mut probe = Instant::now() + self.config.probe;
        loop {
            let occasion = if asked.is_empty() {
                Occasion::Due
            } else {
                Occasion::Asked
            };
            if Instant::now() >= probe {
                if !self.answers_rightly().await {
                    self.unload(&mut memory);
                }
                probe = Instant::now() + self.config.probe;
            }
            self.look(&mut memory, occasion).await;
            for request in asked.drain(..) {
                // Who asked may have stopped waiting.
                let _ = request.send(());
            }
            let poll = Instant::now() + self.config.poll;
            let next = self
                .status()
                .next_attempt
                .map_or(poll, |attempt| attempt.min(poll))
                .min(probe);
            tokio::select! {
                () = sleep_until(next) => {}
                request = self.requests.recv() => match request {
                    None => return,
                    Some(request) => asked.push(request),
                }
            }
            while let Ok(request) = self.requests.try_recv() {
                asked.push(request);
            }
        }
    }

    /// Looks at the disk, and makes an attempt if it has changed, if one is due, or if one was asked for.
    async fn look(&self, memory: &mut Memory, occasion: Occasion) {
        // Taken before anything is read: what changes while it is read differs from this the next time.
        let mut fingerprint = match self.scan().await {
            Ok(fingerprint) => fingerprint,
            Err(error) => return self.cannot_look(memory, occasion, &error),
        };
        let changed = memory.seen.as_ref() != Some(&fingerprint);
        if changed {
            memory.backoff.reset();
            for entry in &fingerprint.ignored {
                tracing::warn!(model = %self.model, entry = %entry.name, detail = entry.why, "entry ignored");
            }
        }
        if changed || occasion != Occasion::Due || self.is_due() {
            let quarantined = self.attempt(memory, &fingerprint, occasion).await;
            // What this attempt itself has changed is no news the next time.
            fingerprint.quarantined = quarantined;
            memory.seen = Some(fingerprint);
        }
    }

    async fn scan(&self) -> Result<ModelFingerprint, LoadError> {
        let (store, model) = (self.store.clone(), self.model.clone());
        let scanned = execute(
            &*self.executor,
            JobKind::Scan,
            Some(&self.model),
            move || store.fingerprint(&model),
        )
        .await;
        scanned?.map_err(|error| LoadError::Unreadable(error.to_string()))
    }

    fn is_due(&self) -> bool {
        self.status()
            .next_attempt
            .is_some_and(|next| Instant::now() >= next)
    }

    /// One failure: counted once, logged once. A version that is held back has failed when it was, and is only told of
    /// when that is news to this server.
    fn failed(&self, version: Option<Version>, error: &LoadError) {
        let reason = error.reason();
        if let LoadError::Quarantined(_) = error {
            let status = self.status();
            let known = version.and_then(|version| status.versions.get(&version));
            if !matches!(known, Some(VersionStatus::Refused { .. })) {
                let version = version.map(tracing::field::display);
                tracing::warn!(model = %self.model, version, %reason, detail = %error, "model version held back");
            }
            return;
        }
        self.metrics.load_failed(reason);
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

    /// The folder itself cannot be read. What answers goes on answering.
    fn cannot_look(&self, memory: &mut Memory, occasion: Occasion, error: &LoadError) {
        let is_news = memory.seen.take().is_some() || self.status().attempts == 0;
        if !is_news && !self.is_due() && occasion == Occasion::Due {
            return;
        }
        self.failed(None, error);
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
        memory.good.clear();
        let before = self.state.borrow().clone();
        let findings = Findings {
            versions: known,
            unreadable: Some(error.to_string()),
            fresh: None,
            loaded: before.loaded,
            others: before.others,
        };
        self.publish(memory, findings);
    }

    /// The one place where what answers is swapped, and where the status changes with it.
    fn publish(&self, memory: &mut Memory, findings: Findings) {
        let Findings {
            versions,
            unreadable,
            fresh,
            loaded,
            others,
        } = findings;
        let before = self.state.borrow().clone();
        let loaded = fresh.clone().or(loaded);
        let serving = loaded
            .as_ref()
            .map(|loaded| (loaded.version(), loaded.manifest.digest()));
        let degraded = serving.and_then(|(version, _)| degradation(version, &versions));
        let is_refused = |status: &VersionStatus| matches!(status, VersionStatus::Refused { .. });
        // Where older versions are to answer too, each of them is worth another attempt.
        let wanted = self.policy.serves_several() && versions.values().any(is_refused);
        let healthy = serving.is_some() && degraded.is_none() && !wanted;
        let next_attempt = (!healthy).then(|| Instant::now() + memory.backoff.next_delay());
        let attempts = before.status.attempts + 1;
        let status = ModelStatus {
            model: self.model.clone(),
            serving,
            degraded,
            versions,
            unreadable,
            attempts,
            next_attempt,
        };
        let was_there = !status.versions.is_empty() || status.unreadable.is_some();
        let vacant = before.vacant && !was_there;
        if let (Some(_), Some((version, digest))) = (&fresh, serving) {
            self.metrics.now_serving(version, digest);
            tracing::info!(model = %self.model, %version, %digest, "model version loaded");
        }
        self.state.send_replace(ModelState {
            loaded,
            others,
            vacant,
            status: Arc::new(status),
        });
        if fresh.is_some() {
            // After the swap: what fails from here on is the new version's failure.
            self.breaker.reset();
        }
    }

    /// Probes all that answer and have a probe.
    async fn answers_rightly(&self) -> bool {
        let ModelState { loaded, others, .. } = self.state.borrow().clone();
        for loaded in loaded.into_iter().chain(others.into_values()) {
            if !self.passes_probe(loaded).await {
                return false;
            }
        }
        true
    }

    /// Nothing answers any more until it is loaded anew: a wrong answer is worse than none.
    fn unload(&self, memory: &mut Memory) {
        let wrong = |&version: &Version| {
            let detail = "it did not answer its probe as was recorded".to_owned();
            let reason = Reason::ModelIncompatible;
            (version, VersionStatus::Refused { reason, detail })
        };
        let findings = Findings {
            versions: self.status().versions.keys().map(wrong).collect(),
            unreadable: None,
            fresh: None,
            loaded: None,
            others: BTreeMap::new(),
        };
        self.publish(memory, findings);
        // The next look takes everything for new.
        memory.seen = None;
    }

    /// That it was busy or slow says nothing about what it answers.
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
                tracing::debug!(model = %self.model, %version, "probe not answered in time");
                true
            }
        }
    }

    fn status(&self) -> Arc<ModelStatus> {
        Arc::clone(&self.state.borrow().status)
    }
}

/// A version that is held back, in the words of its marker.
fn refused(held: &Quarantine) -> VersionStatus {
    let detail = held.detail().to_owned();
    match held.cause().reason() {
        Some(reason) => VersionStatus::Refused { reason, detail },
        None => VersionStatus::Withdrawn { detail },
    }
}

/// Why the version that answers is not what the disk should give.
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
