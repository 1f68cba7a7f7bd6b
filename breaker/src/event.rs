//! Events: the changes of a breaker's state.

use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::state::BreakerState;

/// A breaker changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerEvent {
    /// The old state.
    pub from: BreakerState,
    /// The new state.
    pub to: BreakerState,
    /// The generation that began with the new state.
    pub generation: u64,
    /// The open time, when the new state is [`Open`](BreakerState::Open).
    pub open_for: Option<Duration>,
}

/// The events of one breaker from the moment of subscription on, in order.
#[derive(Debug)]
pub struct BreakerEvents {
    receiver: broadcast::Receiver<BreakerEvent>,
    missed: u64,
}

impl BreakerEvents {
    /// The number of events that are kept for a slow subscriber; then the oldest are dropped.
    pub const CAPACITY: usize = 64;

    pub(crate) fn new(receiver: broadcast::Receiver<BreakerEvent>) -> Self {
        Self {
            receiver,
            missed: 0,
        }
    }

    /// The next event; `None` once the breaker is dropped.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<BreakerEvent> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The number of events that this subscriber lost because it was too slow, as of the last call
    /// of [`next`](Self::next).
    pub fn missed(&self) -> u64 {
        self.missed
    }
}
