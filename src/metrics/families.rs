//! All event-driven metrics: their names, help texts and buckets.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::labels::{
    ModelLabel, OutcomeLabels, ReasonLabels, ResultLabels, RuntimeLabels, RuntimeReasonLabels,
    RuntimeVersionLabels, StateLabels, TransitionLabels, VersionLabels,
};

/// Buckets of inference times in seconds. The first buckets fit a small model on one core, and the
/// last bucket ends at the default deadline.
const PREDICTION_SECONDS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0, 30.0,
];

/// Buckets of loading times and hashing times in seconds, for models of a few hundred bytes to many
/// gigabytes.
const LOAD_SECONDS: [f64; 14] = [
    0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0,
];

/// All event-driven metrics, each with one series per set of labels.
#[derive(Clone, Debug)]
pub(super) struct Families {
    pub(super) prediction_success: Family<ModelLabel, Counter>,
    pub(super) prediction_failure: Family<ReasonLabels, Counter>,
    pub(super) prediction_left_queue: Family<ReasonLabels, Counter>,
    pub(super) prediction_duration: Family<ModelLabel, Histogram>,
    pub(super) breaker_state: Family<StateLabels, Gauge>,
    pub(super) breaker_transitions: Family<TransitionLabels, Counter>,
    pub(super) breaker_rejected: Family<ModelLabel, Counter>,
    pub(super) judging_runs: Family<OutcomeLabels, Counter>,
    pub(super) load_duration: Family<ModelLabel, Histogram>,
    pub(super) load_failures: Family<ReasonLabels, Counter>,
    pub(super) verification_duration: Family<ModelLabel, Histogram>,
    pub(super) verification_failures: Family<ModelLabel, Counter>,
    pub(super) versions_arriving: Family<ModelLabel, Gauge>,
    pub(super) manifest_changes: Family<ModelLabel, Counter>,
    pub(super) version_info: Family<VersionLabels, Gauge>,
    pub(super) runtime_info: Family<RuntimeVersionLabels, Gauge>,
    pub(super) runtime_refusals: Family<RuntimeReasonLabels, Counter>,
    pub(super) second_opinions: Family<ResultLabels, Counter>,
    pub(super) runs: Family<RuntimeLabels, Counter>,
    pub(super) version_unprobed: Family<ModelLabel, Gauge>,
    pub(super) probe_failures: Family<ModelLabel, Counter>,
    pub(super) scrub_failures: Family<ModelLabel, Counter>,
    pub(super) requests_shed: Counter,
    pub(super) connections_evicted: Counter,
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
            prediction_left_queue: Family::default(),
            prediction_duration: predictions(),
            breaker_state: Family::default(),
            breaker_transitions: Family::default(),
            breaker_rejected: Family::default(),
            judging_runs: Family::default(),
            load_duration: loads(),
            load_failures: Family::default(),
            verification_duration: loads(),
            verification_failures: Family::default(),
            versions_arriving: Family::default(),
            manifest_changes: Family::default(),
            version_info: Family::default(),
            runtime_info: Family::default(),
            runtime_refusals: Family::default(),
            second_opinions: Family::default(),
            runs: Family::default(),
            version_unprobed: Family::default(),
            probe_failures: Family::default(),
            scrub_failures: Family::default(),
            requests_shed: Counter::default(),
            connections_evicted: Counter::default(),
            scrubbed: Counter::default(),
            scrubs: Counter::default(),
        }
    }

    /// Registers all metrics.
    // Counters are named without `_total`, which the encoder adds.
    pub(super) fn register(&self, registry: &mut Registry) {
        let f = self.clone();
        registry.register(
            "prediction_success",
            "Prediction requests that were answered",
            f.prediction_success,
        );
        registry.register(
            "prediction_failure",
            "Prediction requests that failed, by reason",
            f.prediction_failure,
        );
        registry.register(
            "prediction_left_queue",
            "Prediction requests that left the queue without a run: overloaded (the deadline passed) or cancelled (the client closed the connection)",
            f.prediction_left_queue,
        );
        registry.register(
            "prediction_duration_seconds",
            "Time from admission by the circuit breaker to the outcome",
            f.prediction_duration,
        );
        registry.register(
            "circuit_breaker_state",
            "1 for the current state of the circuit breaker, 0 for the others",
            f.breaker_state,
        );
        registry.register(
            "circuit_breaker_transitions",
            "State changes of the circuit breaker",
            f.breaker_transitions,
        );
        registry.register(
            "circuit_breaker_rejected",
            "Requests rejected by the circuit breaker",
            f.breaker_rejected,
        );
        registry.register(
            "circuit_breaker_judging_runs",
            "Runs that decide if failures are the fault of the model or the requests, by outcome",
            f.judging_runs,
        );
        registry.register(
            "model_load_duration_seconds",
            "Time to verify, load and warm up a version, successful or not",
            f.load_duration,
        );
        registry.register(
            "model_load_failures",
            "Failed loads of a version, by reason",
            f.load_failures,
        );
        registry.register(
            "checksum_verification_duration_seconds",
            "Time to read and verify a version, successful or not",
            f.verification_duration,
        );
        registry.register(
            "checksum_verification_failures",
            "Versions that differed from their manifest",
            f.verification_failures,
        );
        registry.register(
            "model_versions_arriving",
            "Versions that are still being copied into the store",
            f.versions_arriving,
        );
        registry.register(
            "model_manifest_changes",
            "Changes of the manifest of a loaded version on disk",
            f.manifest_changes,
        );
        registry.register(
            "model_version_info",
            "1 for the version that answers, with the SHA-256 of its entry file",
            f.version_info,
        );
        registry.register(
            "model_runtime_info",
            "1 for the version that answers, with the runtime that runs it",
            f.runtime_info,
        );
        registry.register(
            "model_runtime_refusals",
            "Versions that a runtime refused to load, by runtime and reason",
            f.runtime_refusals,
        );
        registry.register(
            "model_second_opinions",
            "Versions whose answers were compared with those of a second runtime, by result",
            f.second_opinions,
        );
        registry.register(
            "model_runs",
            "Runs for prediction requests, by runtime",
            f.runs,
        );
        registry.register(
            "model_version_unprobed",
            "1 if the version that answers has no probe and refused every generated input, else 0",
            f.version_unprobed,
        );
        registry.register(
            "model_probe_failures",
            "Failed probes of a loaded version",
            f.probe_failures,
        );
        registry.register(
            "scrub_failures",
            "Versions found corrupt by the background scrub",
            f.scrub_failures,
        );
        registry.register(
            "requests_shed",
            "Requests refused because the server was overloaded",
            f.requests_shed,
        );
        registry.register(
            "connections_evicted",
            "Idle connections closed for new ones at the connection limit",
            f.connections_evicted,
        );
        registry.register(
            "scrub_read_bytes",
            "Bytes read by the background scrub",
            f.scrubbed,
        );
        registry.register(
            "scrub_rounds",
            "Completed rounds of the background scrub",
            f.scrubs,
        );
    }
}
