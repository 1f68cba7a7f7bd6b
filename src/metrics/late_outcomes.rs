//! Exports the number of late outcomes of each circuit breaker at each scrape. An outcome is late
//! if the breaker's state changed during the call. The breaker ignores late outcomes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::labels::ModelLabel;
use crate::ModelName;
use clarity_breaker::Breaker;

/// The breakers of all models.
// Each breaker counts its late outcomes itself, so the export adds no cost to a call.
#[derive(Clone, Debug, Default)]
pub(super) struct LateOutcomes {
    breakers: Arc<Mutex<BTreeMap<String, Weak<Breaker>>>>,
}

impl LateOutcomes {
    pub(super) fn watch(&self, model: &ModelName, breaker: Weak<Breaker>) {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.insert(model.to_string(), breaker);
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
        for (model, breaker) in &*breakers {
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
