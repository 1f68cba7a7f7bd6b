//! The handle with which an operator controls a breaker.

use std::sync::Arc;

use super::breaker::Breaker;
use super::event::BreakerEvents;
use super::snapshot::BreakerSnapshot;

/// An operator's handle of a circuit breaker: it observes and overrides the breaker, and makes no
/// calls.
#[derive(Clone, Debug)]
pub struct BreakerHandle {
    breaker: Arc<Breaker>,
}

impl BreakerHandle {
    /// A handle of `breaker`.
    pub fn new(breaker: Arc<Breaker>) -> Self {
        Self { breaker }
    }

    /// The state and the counts at this moment.
    pub fn snapshot(&self) -> BreakerSnapshot {
        self.breaker.snapshot()
    }

    /// Subscribes to all later changes of state.
    pub fn subscribe(&self) -> BreakerEvents {
        self.breaker.subscribe()
    }

    /// Rejects all calls until the breaker is [released](Self::release) or
    /// [disabled](Self::disable). Neither time nor a [reset](Breaker::reset) ends this state.
    pub fn force_open(&self) {
        self.breaker.force_open();
    }

    /// Admits all calls, and counts no outcome, until the breaker is [released](Self::release) or
    /// [forced open](Self::force_open).
    pub fn disable(&self) {
        self.breaker.disable();
    }

    /// Closes a breaker that is forced open or disabled, with all counts at zero. Any other breaker
    /// stays unchanged.
    pub fn release(&self) {
        self.breaker.release();
    }
}
