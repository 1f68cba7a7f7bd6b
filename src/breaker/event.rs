//! The changes of a breaker's state, for whoever wants to know.

use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::state::BreakerState;

/// A breaker has changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerEvent {
    /// The state that ended.
    pub from: BreakerState,
    /// The state that began.
    pub to: BreakerState,
    /// The generation that began with it.
    pub generation: u64,
    /// How long it will stay open, when that is what it became.
    pub open_for: Option<Duration>,
}

/// The events of one breaker from the moment of subscribing on, in their order.
#[derive(Debug)]
pub struct BreakerEvents {
    receiver: broadcast::Receiver<BreakerEvent>,
    missed: u64,
}

impl BreakerEvents {
    /// So many events wait for a subscriber; after that the oldest are dropped.
    pub const CAPACITY: usize = 64;

    pub(super) fn new(receiver: broadcast::Receiver<BreakerEvent>) -> Self {
        Self {
            receiver,
            missed: 0,
        }
    }

    /// The next event; none when the breaker is no more.
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

    /// How many events were dropped because this subscriber was too slow, as of the last call of [`next`](Self::next).
    pub fn missed(&self) -> u64 {
        self.missed
    }
}
