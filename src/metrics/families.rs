//! Every metric that is counted as things happen, with its name, its help and its buckets.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::labels::{ModelLabel, ReasonLabels, StateLabels, TransitionLabels, VersionLabels};

/// Seconds that an inference takes: from a small model on one core to the usual deadline.
const PREDICTION_SECONDS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0, 30.0,
];

/// Seconds that loading or hashing takes: from a model of some hundred bytes to one of many gigabytes.
const LOAD_SECONDS: [f64; 14] = [
    0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0,
];

/// The metrics, each with all of its series.
#[derive(Clone, Debug)]
pub(super) struct Families {
    pub(super) prediction_success: Family<ModelLabel, Counter>,
    pub(super) prediction_failure: Family<ReasonLabels, Counter>,
    pub(super) prediction_duration: Family<ModelLabel, Histogram>,
    pub(super) breaker_state: Family<StateLabels, Gauge>,
    pub(super) breaker_transitions: Family<TransitionLabels, Counter>,
    pub(super) breaker_rejected: Family<ModelLabel, Counter>,
    pub(super) load_duration: Family<ModelLabel, Histogram>,
    pub(super) load_failures: Family<ReasonLabels, Counter>,
    pub(super) verification_duration: Family<ModelLabel, Histogram>,
    pub(super) verification_failures: Family<ModelLabel, Counter>,
    pub(super) version_info: Family<VersionLabels, Gauge>,
    pub(super) probe_failures: Family<ModelLabel, Counter>,
    pub(super) scrub_failures: Family<ModelLabel, Counter>,
    pub(super) requests_shed: Counter,
    pub(super) scrubbed: Counter,
    pub(super) scrubs: Counter,
}

impl Families {
    pub(super) fn new() -> Self {
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
            requests_shed: Counter::default(),
            scrubbed: Counter::default(),
            scrubs: Counter::default(),
        }
    }

    /// The counter of the exposition gets the suffix `_total` from its type; the names here are without it.
    pub(super) fn register(&self, registry: &mut Registry) {
        let f = self.clone();
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
            f.requests_shed,
        );
        registry.register(
            "scrub_read_bytes",
            "Bytes on disk read again in the background",
            f.scrubbed,
        );
        registry.register(
            "scrub_rounds",
            "Times that everything on disk was read again",
            f.scrubs,
        );
    }
}
