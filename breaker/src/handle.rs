//! The operator's handle of a breaker.

use std::sync::Arc;

use super::breaker::Breaker;
use super::event::BreakerEvents;
use super::snapshot::BreakerSnapshot;

/// An operator's handle of a circuit breaker: it observes and overrides, and makes no calls.
#[derive(Clone, Debug)]
pub struct BreakerHandle {
    breaker: Arc<Breaker>,
}

impl BreakerHandle {
    /// A handle of `breaker`.
    pub fn new(breaker: Arc<Breaker>) -> Self {
        Self { breaker }
    }

    /// The breaker at this moment.
    pub fn snapshot(&self) -> BreakerSnapshot {
        self.breaker.snapshot()
    }

    /// The changes of state from now on.
    pub fn subscribe(&self) -> BreakerEvents {
        self.breaker.subscribe()
    }

    /// Rejects all calls until the breaker is [released](Self::release) or
    /// [disabled](Self::disable). Neither time nor a [reset](Breaker::reset) ends this.
    pub fn force_open(&self) {
        self.breaker.force_open();
    }

    /// Admits all calls and counts nothing until the breaker is [released](Self::release) or
    /// [forced open](Self::force_open).
    pub fn disable(&self) {
        self.breaker.disable();
    }

    /// Closes a breaker that was forced open or disabled, with nothing counted. Any other breaker
    /// stays as it is.
    pub fn release(&self) {
        self.breaker.release();
    }
}
