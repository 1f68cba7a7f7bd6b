//! The circuit breaker of a model, with its metrics and logs.

use std::sync::Arc;

use clarity_breaker::{Breaker, BreakerConfig, BreakerEvent, BreakerState};

use crate::metrics::ModelMetrics;
use crate::seed::seed_for;
use crate::{ModelName, Reason};

/// Creates a closed breaker that counts and logs its state changes. The breaker's seed is derived
/// from the model's name and the configured seed.
pub(super) fn new(
    config: &BreakerConfig,
    model: &ModelName,
    metrics: &Arc<ModelMetrics>,
) -> Breaker {
    let mut config = config.clone();
    config.seed = Some(seed_for(model.as_str(), config.seed));
    let breaker =
        Breaker::new(config).expect("the server checks its configuration before it starts");
    let (model, metrics) = (model.clone(), Arc::clone(metrics));
    breaker.with_hook(move |event: &BreakerEvent| {
        let BreakerEvent { from, to, .. } = *event;
        metrics.breaker_changed(from, to);
        if matches!(to, BreakerState::Open | BreakerState::ForcedOpen) {
            tracing::warn!(%model, %from, %to, reason = %Reason::CircuitOpen, "circuit breaker changed");
        } else {
            tracing::info!(%model, %from, %to, "circuit breaker changed");
        }
    })
}
