//! The breaker of a model, for operators and observers.

use std::sync::Arc;

use super::circuit::Breaker;
use super::event::BreakerEvents;
use super::snapshot::BreakerSnapshot;

/// The circuit breaker of a model: to look at, to listen to, and to overrule.
#[derive(Clone, Debug)]
pub struct BreakerHandle {
    breaker: Arc<Breaker>,
}

impl BreakerHandle {
    pub(crate) fn new(breaker: Arc<Breaker>) -> Self {
        Self { breaker }
    }

    /// How it is now.
    pub fn snapshot(&self) -> BreakerSnapshot {
        self.breaker.snapshot()
    }

    /// Its changes of state from now on.
    pub fn subscribe(&self) -> BreakerEvents {
        self.breaker.subscribe()
    }

    /// Opens it until it is [released](Self::release) or [disabled](Self::disable): no call passes, whatever time does,
    /// and whatever version is loaded.
    pub fn force_open(&self) {
        self.breaker.force_open();
    }

    /// Lets all calls pass and counts nothing until it is [released](Self::release) or
    /// [forced open](Self::force_open).
    pub fn disable(&self) {
        self.breaker.disable();
    }

    /// Gives it back to itself: a breaker that was forced open or disabled is closed and has counted nothing. Any other
    /// stays as it is.
    pub fn release(&self) {
        self.breaker.release();
    }
}
