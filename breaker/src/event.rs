//! Changes of a breaker's state, as events.

use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::state::BreakerState;

/// A change of a breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerEvent {
    /// The state before the change.
    pub from: BreakerState,
    /// The state after the change.
    pub to: BreakerState,
    /// The generation that began with the new state.
    pub generation: u64,
    /// The open time, if the new state is [`Open`](BreakerState::Open).
    pub open_for: Option<Duration>,
}

/// All events of one breaker since the subscription, in order.
#[derive(Debug)]
pub struct BreakerEvents {
    receiver: broadcast::Receiver<BreakerEvent>,
    missed: u64,
}

impl BreakerEvents {
    /// The number of events kept for a slow subscriber. Beyond this number, the oldest are dropped.
    pub const CAPACITY: usize = 64;

    pub(crate) fn new(receiver: broadcast::Receiver<BreakerEvent>) -> Self {
        Self {
            receiver,
            missed: 0,
        }
    }

    /// Waits for the next event. Returns `None` once the breaker is dropped and all kept events are
    /// read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<BreakerEvent> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The number of events that this subscriber lost because it was too slow, up to the last call
    /// of [`next`](Self::next).
    pub fn missed(&self) -> u64 {
        self.missed
    }
}
