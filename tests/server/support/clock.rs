//! A clock that stands still until it is told to go on.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use super::FAILED;

/// Tokio's clock, driven by hand: for a test on a current-thread runtime with real sockets.
///
/// A paused clock alone jumps to the next timer whenever all tasks wait, and waiting for a socket looks like that. Tokio
/// does not jump while a blocking task runs, so one runs for as long as this lives.
pub(crate) struct ManualClock {
    _running: Sender<()>,
}

impl ManualClock {
    pub(crate) fn start() -> Self {
        tokio::time::pause();
        let (sender, receiver) = channel::<()>();
        tokio::task::spawn_blocking(move || {
            // Gives an error when the clock is dropped.
            let _ = receiver.recv_timeout(FAILED);
        });
        Self { _running: sender }
    }

    /// Lets timers of so many seconds run out: these have a resolution of a millisecond, and are rounded up to it.
    pub(crate) async fn run_out(&self, seconds: f64) {
        self.advance(seconds + 0.001).await;
    }

    pub(crate) async fn advance(&self, seconds: f64) {
        tokio::time::advance(Duration::from_secs_f64(seconds)).await;
    }
}
