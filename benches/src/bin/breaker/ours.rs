//! The breaker of the server.

use crate::calls::{Guard, WINDOW, WINDOW_CALLS, call};
use clarity_breaker::{Breaker, BreakerConfig, BreakerRate, BreakerTrip, BreakerWindow};

/// Opens after five failures in a row.
pub(crate) fn consecutive() -> impl Guard {
    guard(BreakerTrip::ConsecutiveFailures(5))
}

/// Opens when half of the last 100 calls failed.
pub(crate) fn count_window() -> impl Guard {
    rate(BreakerWindow::Calls(WINDOW_CALLS))
}

/// Opens when half of the calls of the last second failed.
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
