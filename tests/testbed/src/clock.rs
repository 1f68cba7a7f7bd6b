//! A clock that stops until a test advances it.

use crate::LIMIT;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Tokio's clock, advanced by the test. Use the clock on a current-thread Tokio runtime with real
/// sockets.
// When all tasks wait, a paused clock jumps to the next timer, even if they wait for a socket.
// Tokio does not jump while a blocking task runs, so a blocking task runs for the lifetime of this
// clock.
#[derive(Debug)]
pub struct ManualClock {
    _running: Sender<()>,
}

impl ManualClock {
    /// Stops Tokio's clock.
    #[must_use]
    pub fn start() -> Self {
        tokio::time::pause();
        let (sender, receiver) = channel::<()>();
        tokio::task::spawn_blocking(move || {
            // An error means that the clock was dropped, or that the failed test waits for its
            // threads.
            let _ = receiver.recv_timeout(LIMIT);
        });
        Self { _running: sender }
    }

    /// Advances the clock by `seconds` and one millisecond, so timers of `seconds` run out. Tokio
    /// rounds timers up to a whole millisecond.
    pub async fn run_out(&self, seconds: f64) {
        self.advance(seconds + 0.001).await;
    }

    /// Advances the clock by exactly `seconds`.
    pub async fn advance(&self, seconds: f64) {
        tokio::time::advance(Duration::from_secs_f64(seconds)).await;
    }
}
