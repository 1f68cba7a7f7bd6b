//! Every metric, named once.

mod exposition;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::{BreakerState, Digest, ModelName, Reason, Version};

/// Seconds that an inference takes: from a small model on one core to the usual deadline.
const PREDICTION_SECONDS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0, 30.0,
];

/// Seconds that loading or hashing takes: from a model of some hundred bytes to one of many gigabytes.
const LOAD_SECONDS: [f64; 14] = [
    0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0,
];

/// The metrics of one server; no two servers share any.
pub struct Metrics {
    registry: Registry,
    families: Families,
    requests_shed: Counter,
    scrubbed: Counter,
    scrubs: Counter,
}

#[derive(Clone, Debug)]
struct Families {
    prediction_success: Family<ModelLabel, Counter>,
    prediction_failure: Family<ReasonLabels, Counter>,
    prediction_duration: Family<ModelLabel, Histogram>,
    breaker_state: Family<StateLabels, Gauge>,
    breaker_transitions: Family<TransitionLabels, Counter>,
    breaker_rejected: Family<ModelLabel, Counter>,
    load_duration: Family<ModelLabel, Histogram>,
    load_failures: Family<ReasonLabels, Counter>,
    verification_duration: Family<ModelLabel, Histogram>,
    verification_failures: Family<ModelLabel, Counter>,
    version_info: Family<VersionLabels, Gauge>,
    probe_failures: Family<ModelLabel, Counter>,
    scrub_failures: Family<ModelLabel, Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let families = Families::new();
        let requests_shed = Counter::default();
        let mut registry = Registry::default();
        register_all(&mut registry, &families, &requests_shed);
        let (scrubbed, scrubs) = (Counter::default(), Counter::default());
        registry.register(
            "scrub_read_bytes",
            "Bytes on disk read again in the background",
            scrubbed.clone(),
        );
        registry.register(
            "scrub_rounds",
            "Times that everything on disk was read again",
            scrubs.clone(),
        );
        Self {
            scrubbed,
            scrubs,
            registry,
            families,
            requests_shed,
        }
    }

    /// All metrics in the text format of Prometheus, version 0.0.4.
    pub fn render(&self) -> String {
        exposition::to_prometheus(&self.render_openmetrics())
    }

    /// All metrics in the OpenMetrics text format, version 1.0.0.
    pub fn render_openmetrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text
    }

    pub(crate) fn scrubbed(&self, bytes: u64) {
        self.scrubbed.inc_by(bytes);
    }

    pub(crate) fn scrub_ended(&self) {
        self.scrubs.inc();
    }

    /// The metrics of one model, all there from now on with 0.
    pub(crate) fn of_model(&self, model: &ModelName) -> ModelMetrics {
        ModelMetrics::new(&self.families, &self.requests_shed, model)
    }
}

impl Families {
    fn new() -> Self {
        let predictions =
            || Family::new_with_constructor((|| Histogram::new(PREDICTION_SECONDS)) as fn() -> _);
        let loads = || Family::new_with_constructor((|| Histogram::new(LOAD_SECONDS)) as fn() -> _);
        Self {
            prediction_success: Family::default(),
            prediction_failure: Family::default(),
            prediction_duration: predictions(),
            breaker_state: Family::default(),
            breaker_transitions: Family::default(),
            breaker_rejected: Family::default(),
            load_duration: loads(),
            load_failures: Family::default(),
            verification_duration: loads(),
            verification_failures: Family::default(),
            version_info: Family::default(),
            probe_failures: Family::default(),
            scrub_failures: Family::default(),
        }
    }
}

/// The counter of the exposition gets the suffix `_total` from its type; the names here are without it.
fn register_all(registry: &mut Registry, families: &Families, requests_shed: &Counter) {
    let f = families.clone();
    registry.register(
        "prediction_success",
        "Requests for a prediction that were answered",
        f.prediction_success,
    );
    registry.register(
        "prediction_failure",
        "Requests for a prediction that were not answered, by reason",
        f.prediction_failure,
    );
    registry.register(
        "prediction_duration_seconds",
        "Time from admission by the circuit breaker to the outcome",
        f.prediction_duration,
    );
    registry.register(
        "circuit_breaker_state",
        "1 for the state in which the circuit breaker is, 0 for the others",
        f.breaker_state,
    );
    registry.register(
        "circuit_breaker_transitions",
        "Changes of state of the circuit breaker",
        f.breaker_transitions,
    );
    registry.register(
        "circuit_breaker_rejected",
        "Requests rejected by the circuit breaker",
        f.breaker_rejected,
    );
    registry.register(
        "model_load_duration_seconds",
        "Time to verify, load and warm up a version, successful or not",
        f.load_duration,
    );
    registry.register(
        "model_load_failures",
        "Attempts to load a version that failed, by reason",
        f.load_failures,
    );
    registry.register(
        "checksum_verification_duration_seconds",
        "Time to read and verify a version, successful or not",
        f.verification_duration,
    );
    registry.register(
        "checksum_verification_failures",
        "Versions that were not what their manifest promises",
        f.verification_failures,
    );
    registry.register(
        "model_version_info",
        "1 for the version that answers, with the SHA-256 of its entry file",
        f.version_info,
    );
    registry.register(
        "model_probe_failures",
        "Times that a loaded version did not answer its probe as was recorded",
        f.probe_failures,
    );
    registry.register(
        "scrub_failures",
        "Versions that were found damaged when read again in the background",
        f.scrub_failures,
    );
    registry.register(
        "requests_shed",
        "Requests refused because the server had as much to do as it may",
        requests_shed.clone(),
    );
}

/// The metrics of one model, each resolved once: counting one costs an atomic addition and no look-up.
#[derive(Debug)]
pub(crate) struct ModelMetrics {
    model: String,
    families: Families,
    prediction_success: Counter,
    prediction_failures: Vec<(Reason, Counter)>,
    prediction_duration: Histogram,
    breaker_rejected: Counter,
    load_duration: Histogram,
    load_failures: Vec<(Reason, Counter)>,
    verification_duration: Histogram,
    verification_failures: Counter,
    probe_failures: Counter,
    scrub_failures: Counter,
    requests_shed: Counter,
    serving: Mutex<Option<VersionLabels>>,
}

impl ModelMetrics {
    fn new(families: &Families, requests_shed: &Counter, model: &ModelName) -> Self {
        use BreakerState::{Closed, HalfOpen, Open};
        let model = model.to_string();
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
        let metrics = Self {
            prediction_success: families.prediction_success.get_or_create_owned(&label),
            prediction_failures: by_reason(&families.prediction_failure, &Reason::OF_PREDICTIONS),
            prediction_duration: families.prediction_duration.get_or_create_owned(&label),
            breaker_rejected: families.breaker_rejected.get_or_create_owned(&label),
            load_duration: families.load_duration.get_or_create_owned(&label),
            load_failures: by_reason(&families.load_failures, &Reason::OF_LOADS),
            verification_duration: families.verification_duration.get_or_create_owned(&label),
            verification_failures: families.verification_failures.get_or_create_owned(&label),
            probe_failures: families.probe_failures.get_or_create_owned(&label),
            scrub_failures: families.scrub_failures.get_or_create_owned(&label),
            requests_shed: requests_shed.clone(),
            serving: Mutex::new(None),
            families: families.clone(),
            model,
        };
        metrics.breaker_is(Closed);
        for (from, to) in [
            (Closed, Open),
            (Open, HalfOpen),
            (HalfOpen, Open),
            (HalfOpen, Closed),
            (Open, Closed),
        ] {
            let _ = metrics.transition(from, to);
        }
        metrics
    }

    pub(crate) fn prediction_succeeded(&self) {
        self.prediction_success.inc();
    }

    pub(crate) fn prediction_failed(&self, reason: Reason) {
        count(&self.prediction_failures, reason);
        if reason == Reason::CircuitOpen {
            self.breaker_rejected.inc();
        } else if reason == Reason::Overloaded {
            self.requests_shed.inc();
        }
    }

    pub(crate) fn prediction_took(&self, time: Duration) {
        self.prediction_duration.observe(time.as_secs_f64());
    }

    pub(crate) fn breaker_changed(&self, from: BreakerState, to: BreakerState) {
        self.transition(from, to).inc();
        self.breaker_is(to);
    }

    pub(crate) fn load_took(&self, time: Duration) {
        self.load_duration.observe(time.as_secs_f64());
    }

    pub(crate) fn load_failed(&self, reason: Reason) {
        count(&self.load_failures, reason);
    }

    pub(crate) fn verification_took(&self, time: Duration) {
        self.verification_duration.observe(time.as_secs_f64());
    }

    pub(crate) fn verification_failed(&self) {
        self.verification_failures.inc();
    }

    pub(crate) fn probe_failed(&self) {
        self.probe_failures.inc();
    }

    pub(crate) fn scrub_failed(&self) {
        self.scrub_failures.inc();
    }

    /// The series of the version before is removed: it would otherwise say 1 for ever.
    pub(crate) fn now_serving(&self, version: Version, digest: Digest) {
        let labels = VersionLabels {
            model: self.model.clone(),
            version: version.get(),
            digest: digest.to_string(),
        };
        let mut serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = serving
            .replace(labels.clone())
            .filter(|before| *before != labels)
        {
            self.families.version_info.remove(&before);
        }
        self.families.version_info.get_or_create(&labels).set(1);
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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabel {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    model: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    model: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransitionLabels {
    model: String,
    from: &'static str,
    to: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    model: String,
    version: u64,
    digest: String,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
