//! Exports the number of late outcomes of each circuit breaker at each scrape. An outcome is late
//! if the breaker's state changed during the call. The breaker ignores late outcomes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::ModelMetrics;
use super::labels::ModelLabel;
use crate::ModelName;
use clarity_breaker::Breaker;

/// The breakers of all models.
// Each breaker counts its late outcomes itself, so the export adds no cost to a call.
#[derive(Clone, Debug, Default)]
pub(super) struct LateOutcomes {
    breakers: Arc<Mutex<BTreeMap<String, WatchedBreaker>>>,
}

#[derive(Debug)]
struct WatchedBreaker {
    breaker: Weak<Breaker>,
    metrics: Weak<ModelMetrics>,
}

impl LateOutcomes {
    pub(super) fn watch(
        &self,
        model: &ModelName,
        breaker: Weak<Breaker>,
        metrics: &Arc<ModelMetrics>,
    ) {
        let metrics = Arc::downgrade(metrics);
        let watched = WatchedBreaker { breaker, metrics };
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.insert(model.to_string(), watched);
    }
}

impl Collector for LateOutcomes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut family = encoder.encode_descriptor(
            "circuit_breaker_late_outcomes",
            "Outcomes that arrived after a state change and were ignored.",
            None,
            MetricType::Counter,
        )?;
        for (model, WatchedBreaker { breaker, metrics }) in &*breakers {
            if metrics
                .upgrade()
                .is_some_and(|metrics| !metrics.has_begun())
            {
                continue;
            }
            let late = breaker
                .upgrade()
                .map_or(0, |breaker| breaker.snapshot().late_outcomes);
            let label = ModelLabel {
                model: model.clone(),
            };
            ConstCounter::new(late).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }
}
