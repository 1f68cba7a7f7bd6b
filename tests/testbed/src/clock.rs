//! A clock that stands still until a test advances it.

use crate::LIMIT;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Tokio's clock, driven by hand: for a test on a current-thread runtime with real sockets.
// A paused clock jumps to the next timer when all tasks wait, and waiting for a socket looks like
// that. Tokio does not jump while a blocking task runs, so one runs for as long as this lives.
#[derive(Debug)]
pub struct ManualClock {
    _running: Sender<()>,
}

impl ManualClock {
    /// Stops the clock.
    #[must_use]
    pub fn start() -> Self {
        tokio::time::pause();
        let (sender, receiver) = channel::<()>();
        tokio::task::spawn_blocking(move || {
            // An error: the clock is dropped, or its test has failed and waits for its threads.
            let _ = receiver.recv_timeout(LIMIT);
        });
        Self { _running: sender }
    }

    /// Lets timers of this duration run out: Tokio rounds them up to a whole millisecond.
    pub async fn run_out(&self, seconds: f64) {
        self.advance(seconds + 0.001).await;
    }

    /// Advances the clock by exactly this duration.
    pub async fn advance(&self, seconds: f64) {
        tokio::time::advance(Duration::from_secs_f64(seconds)).await;
    }
}
