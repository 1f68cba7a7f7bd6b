//! The metrics of one model.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::families::Families;
use super::labels::{
    ModelLabel, OutcomeLabels, ReasonLabels, ResultLabels, RuntimeLabels, RuntimeReasonLabels,
    RuntimeVersionLabels, StateLabels, TransitionLabels, VersionLabels,
};
use crate::verdict::Verdict;
use crate::{
    BreakerState, Digest, ModelName, Reason, RuntimeId, RuntimeRefusal, SecondOpinion, Version,
};

/// The metrics of one model. Counting a prediction takes only atomic additions, without a lookup by
/// labels.
///
/// The series of a model begin, all at once, with its first request or with the first event that is
/// worth a look. Only the series of the version that answers are there before.
#[derive(Debug)]
pub(crate) struct ModelMetrics {
    model: String,
    families: Families,
    series: OnceLock<ModelSeries>,
    early: Mutex<EarlyLoads>,
    requests_shed: Counter,
    serving: Mutex<Option<ServingLabels>>,
}

/// All series that count the events of one model.
#[derive(Debug)]
struct ModelSeries {
    prediction_success: Counter,
    prediction_failures: Vec<(Reason, Counter)>,
    left_queue: Vec<(Reason, Counter)>,
    prediction_duration: Histogram,
    breaker_rejected: Counter,
    load_duration: Histogram,
    load_failures: Vec<(Reason, Counter)>,
    verification_duration: Histogram,
    verification_failures: Counter,
    version_unprobed: Gauge,
    versions_arriving: Gauge,
    manifest_changes: Counter,
    probe_failures: Counter,
    scrub_failures: Counter,
}

/// The durations of loads before the series begin.
#[derive(Debug, Default)]
struct EarlyLoads {
    loads: Vec<Duration>,
    verifications: Vec<Duration>,
}

impl EarlyLoads {
    /// The maximum number of durations of each kind.
    const MAX: usize = 8;

    fn is_full(&self) -> bool {
        self.loads.len() >= Self::MAX || self.verifications.len() >= Self::MAX
    }
}

/// The labels of the series that describe the version that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ServingLabels {
    version: VersionLabels,
    runtime: RuntimeVersionLabels,
}

impl ModelMetrics {
    pub(super) fn new(families: &Families, model: &ModelName) -> Self {
        Self {
            model: model.to_string(),
            families: families.clone(),
            series: OnceLock::new(),
            early: Mutex::default(),
            requests_shed: families.requests_shed.clone(),
            serving: Mutex::new(None),
        }
    }

    /// Begins the series of the model, with the value 0, unless they have begun.
    pub(crate) fn begin(&self) {
        self.series();
    }

    /// Whether the series of the model have begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.series.get().is_some()
    }

    fn series(&self) -> &ModelSeries {
        if let Some(series) = self.series.get() {
            return series;
        }
        // With the lock, no duration can be added after the last one is taken.
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        let series = self.series.get_or_init(|| self.new_series());
        let EarlyLoads {
            loads,
            verifications,
        } = std::mem::take(&mut *early);
        for time in loads {
            series.load_duration.observe(time.as_secs_f64());
        }
        for time in verifications {
            series.verification_duration.observe(time.as_secs_f64());
        }
        series
    }

    fn new_series(&self) -> ModelSeries {
        use BreakerState::{Closed, HalfOpen, Open};
        let (families, model) = (&self.families, &self.model);
        let label = ModelLabel {
            model: model.clone(),
        };
        let by_reason = |family: &Family<ReasonLabels, Counter>, reasons: &[Reason]| {
            let labels = |reason: Reason| ReasonLabels {
                model: model.clone(),
                reason: reason.as_str(),
            };
            reasons
                .iter()
                .map(|&reason| (reason, family.get_or_create_owned(&labels(reason))))
                .collect()
        };
        self.breaker_is(Closed);
        for (from, to) in [
            (Closed, Open),
            (Open, HalfOpen),
            (HalfOpen, Open),
            (HalfOpen, Closed),
            (Open, Closed),
        ] {
            let _ = self.transition(from, to);
        }
        for verdict in Verdict::ALL {
            let _ = self.judging_runs(verdict);
        }
        ModelSeries {
            prediction_success: families.prediction_success.get_or_create_owned(&label),
            prediction_failures: by_reason(&families.prediction_failure, Reason::OF_PREDICTIONS),
            left_queue: by_reason(&families.prediction_left_queue, Reason::OF_DEPARTURES),
            prediction_duration: families.prediction_duration.get_or_create_owned(&label),
            breaker_rejected: families.breaker_rejected.get_or_create_owned(&label),
            load_duration: families.load_duration.get_or_create_owned(&label),
            load_failures: by_reason(&families.load_failures, Reason::OF_LOADS),
            verification_duration: families.verification_duration.get_or_create_owned(&label),
            verification_failures: families.verification_failures.get_or_create_owned(&label),
            version_unprobed: families.version_unprobed.get_or_create_owned(&label),
            versions_arriving: families.versions_arriving.get_or_create_owned(&label),
            manifest_changes: families.manifest_changes.get_or_create_owned(&label),
            probe_failures: families.probe_failures.get_or_create_owned(&label),
            scrub_failures: families.scrub_failures.get_or_create_owned(&label),
        }
    }

    pub(crate) fn prediction_succeeded(&self) {
        self.series().prediction_success.inc();
    }

    pub(crate) fn prediction_failed(&self, reason: Reason) {
        count(&self.series().prediction_failures, reason);
        if reason == Reason::CircuitOpen {
            self.series().breaker_rejected.inc();
        } else if reason == Reason::Overloaded {
            self.requests_shed.inc();
        }
    }

    /// Counts a prediction request that left the queue without a run. The reason is one of
    /// [`Reason::OF_DEPARTURES`].
    pub(crate) fn left_queue(&self, reason: Reason) {
        count(&self.series().left_queue, reason);
    }

    pub(crate) fn prediction_took(&self, time: Duration) {
        self.series()
            .prediction_duration
            .observe(time.as_secs_f64());
    }

    pub(crate) fn breaker_changed(&self, from: BreakerState, to: BreakerState) {
        self.begin();
        self.transition(from, to).inc();
        self.breaker_is(to);
    }

    pub(crate) fn judged(&self, verdict: Verdict) {
        self.begin();
        self.judging_runs(verdict).inc();
    }

    pub(crate) fn load_took(&self, time: Duration) {
        if let Some(series) = self.series_or_early(|early| early.loads.push(time)) {
            series.load_duration.observe(time.as_secs_f64());
        }
    }

    pub(crate) fn load_failed(&self, reason: Reason) {
        count(&self.series().load_failures, reason);
    }

    pub(crate) fn verification_took(&self, time: Duration) {
        if let Some(series) = self.series_or_early(|early| early.verifications.push(time)) {
            series.verification_duration.observe(time.as_secs_f64());
        }
    }

    /// The series, if they have begun. Otherwise keeps a duration for them.
    fn series_or_early(&self, keep: impl FnOnce(&mut EarlyLoads)) -> Option<&ModelSeries> {
        if !self.has_begun() {
            let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.has_begun() && !early.is_full() {
                keep(&mut early);
                return None;
            }
        }
        Some(self.series())
    }

    pub(crate) fn verification_failed(&self) {
        self.series().verification_failures.inc();
    }

    /// Sets the number of versions that are still arriving.
    pub(crate) fn now_arriving(&self, versions: usize) {
        if versions > 0 || self.has_begun() {
            let versions = i64::try_from(versions).unwrap_or(i64::MAX);
            self.series().versions_arriving.set(versions);
        }
    }

    pub(crate) fn manifest_changed(&self) {
        self.series().manifest_changes.inc();
    }

    pub(crate) fn probe_failed(&self) {
        self.series().probe_failures.inc();
    }

    pub(crate) fn scrub_failed(&self) {
        self.series().scrub_failures.inc();
    }

    /// Sets the version that answers, and the runtime that runs it.
    // Removes the series of the previous version, which would otherwise stay at 1.
    pub(crate) fn now_serving(&self, version: Version, digest: Digest, runtime: &RuntimeId) {
        let labels = ServingLabels {
            version: VersionLabels {
                model: self.model.clone(),
                version: version.get(),
                digest: digest.to_string(),
            },
            runtime: RuntimeVersionLabels {
                model: self.model.clone(),
                version: version.get(),
                runtime: runtime.name.clone(),
                runtime_version: runtime.version.clone(),
            },
        };
        let mut serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = serving
            .replace(labels.clone())
            .filter(|before| *before != labels)
        {
            self.remove(&before);
        }
        let ServingLabels { version, runtime } = labels;
        self.families.version_info.get_or_create(&version).set(1);
        self.families.runtime_info.get_or_create(&runtime).set(1);
    }

    /// Records that no version answers any more.
    pub(crate) fn stopped_serving(&self) {
        let mut serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = serving.take() {
            self.remove(&before);
        }
        self.serving_unprobed(false);
    }

    fn remove(&self, labels: &ServingLabels) {
        self.families.version_info.remove(&labels.version);
        self.families.runtime_info.remove(&labels.runtime);
    }

    /// Counts the refusals of runtimes that do not load a version.
    pub(crate) fn runtimes_refused(&self, refusals: &[RuntimeRefusal]) {
        for refusal in refusals {
            let labels = RuntimeReasonLabels {
                model: self.model.clone(),
                runtime: refusal.runtime.name.clone(),
                reason: refusal.kind.as_str(),
            };
            self.families.runtime_refusals.get_or_create(&labels).inc();
        }
    }

    /// Counts a second opinion, if there is one.
    // The series exist only with a second runtime, and then for each result.
    pub(crate) fn second_opinion(&self, opinion: Option<&SecondOpinion>) {
        let Some(opinion) = opinion else { return };
        for result in SecondOpinion::RESULTS {
            let labels = ResultLabels {
                model: self.model.clone(),
                result,
            };
            let counter = self.families.second_opinions.get_or_create_owned(&labels);
            counter.inc_by((result == opinion.result()).into());
        }
    }

    /// The counter of the runs with a runtime.
    pub(crate) fn runs_with(&self, runtime: &RuntimeId) -> Counter {
        let labels = RuntimeLabels {
            model: self.model.clone(),
            runtime: runtime.name.clone(),
        };
        self.families.runs.get_or_create_owned(&labels)
    }

    /// Sets whether the version that answers is unprobed.
    pub(crate) fn serving_unprobed(&self, is_unprobed: bool) {
        if is_unprobed || self.has_begun() {
            self.series().version_unprobed.set(is_unprobed.into());
        }
    }

    fn breaker_is(&self, now: BreakerState) {
        for state in BreakerState::ALL {
            let labels = StateLabels {
                model: self.model.clone(),
                state: state.as_str(),
            };
            self.families
                .breaker_state
                .get_or_create(&labels)
                .set((state == now).into());
        }
    }

    fn judging_runs(&self, verdict: Verdict) -> Counter {
        let labels = OutcomeLabels {
            model: self.model.clone(),
            outcome: verdict.as_str(),
        };
        self.families.judging_runs.get_or_create_owned(&labels)
    }

    fn transition(&self, from: BreakerState, to: BreakerState) -> Counter {
        let labels = TransitionLabels {
            model: self.model.clone(),
            from: from.as_str(),
            to: to.as_str(),
        };
        self.families
            .breaker_transitions
            .get_or_create_owned(&labels)
    }
}

fn count(counters: &[(Reason, Counter)], reason: Reason) {
    let counter = counters.iter().find(|(counted, _)| *counted == reason);
    debug_assert!(
        counter.is_some(),
        "{reason} is not among the counted reasons"
    );
    if let Some((_, counter)) = counter {
        counter.inc();
    }
}
