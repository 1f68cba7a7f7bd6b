//! The metrics of a server.

mod exposition;
mod families;
mod labels;
mod late_outcomes;
mod model_metrics;
mod process;
mod version_statistics;

use std::fmt;
use std::sync::{Arc, Weak};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use self::families::Families;
use self::late_outcomes::LateOutcomes;
pub(crate) use self::model_metrics::ModelMetrics;
use self::process::ProcessCollector;
pub(crate) use self::version_statistics::{TotalTime, VersionStatistics};
use crate::ModelName;
use clarity_breaker::Breaker;

/// The metrics of one server. Servers in one process share only the process metrics.
pub struct Metrics {
    registry: Registry,
    families: Families,
    late_outcomes: LateOutcomes,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let families = Families::new();
        let late_outcomes = LateOutcomes::default();
        let mut registry = Registry::default();
        families.register(&mut registry);
        registry.register_collector(Box::new(late_outcomes.clone()));
        registry.register_collector(Box::new(ProcessCollector));
        Self {
            registry,
            families,
            late_outcomes,
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

    pub(crate) fn connection_evicted(&self) {
        self.families.connections_evicted.inc();
    }

    pub(crate) fn scrubbed(&self, bytes: u64) {
        self.families.scrubbed.inc_by(bytes);
    }

    pub(crate) fn scrub_ended(&self) {
        self.families.scrubs.inc();
    }

    /// The number of models up to which the series of each model begin at the start of the server.
    // All series of a model are 8 KB of each scrape.
    pub(crate) const FEW_MODELS: usize = 64;

    /// Creates the metrics of one model. The series begin later: see [`ModelMetrics`].
    pub(crate) fn for_model(&self, model: &ModelName) -> ModelMetrics {
        ModelMetrics::new(&self.families, model)
    }

    /// Exports the number of late outcomes of a model's breaker at each scrape, once the series of
    /// the model have begun.
    pub(crate) fn watch_breaker(
        &self,
        model: &ModelName,
        breaker: Weak<Breaker>,
        metrics: &Arc<ModelMetrics>,
    ) {
        self.late_outcomes.watch(model, breaker, metrics);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
