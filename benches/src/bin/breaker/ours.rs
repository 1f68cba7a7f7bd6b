//! Our circuit breaker, which the server uses.

use crate::calls::{Guard, WINDOW, WINDOW_CALLS, call};
use clarity_breaker::{Breaker, BreakerConfig, BreakerRate, BreakerTrip, BreakerWindow};

/// Creates a breaker that opens after five failures in a row.
pub(crate) fn consecutive() -> impl Guard {
    guard(BreakerTrip::ConsecutiveFailures(5))
}

/// Creates a breaker that opens when half of the last 100 calls failed.
pub(crate) fn count_window() -> impl Guard {
    rate(BreakerWindow::Calls(WINDOW_CALLS))
}

/// Creates a breaker that opens when half of the last second's calls failed.
pub(crate) fn time_window() -> impl Guard {
    rate(BreakerWindow::Time(WINDOW))
}

fn rate(window: BreakerWindow) -> impl Guard {
    let mut rate = BreakerRate::default();
    rate.window = window;
    guard(BreakerTrip::Rate(rate))
}

fn guard(trip: BreakerTrip) -> impl Guard {
    let mut config = BreakerConfig::default();
    config.trip = trip;
    Ours(Breaker::new(config).expect("the settings are within their bounds"))
}

struct Ours(Breaker);

impl Guard for Ours {
    fn caller(&self) -> impl FnMut(bool) -> bool {
        |fails| {
            let Ok(permit) = self.0.admit() else {
                return false;
            };
            match call(fails) {
                Ok(_) => permit.success(),
                Err(_) => permit.failure(),
            }
            true
        }
    }
}
