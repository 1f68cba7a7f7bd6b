//! The server's own breaker.

use crate::calls::call;
use crate::peers::{WINDOW, WINDOW_CALLS};
use crate::rounds::Guard;
use breaker::{Breaker, BreakerConfig, BreakerRate, BreakerTrip, BreakerWindow};

#[path = "../../../../src/breaker"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "what only the server needs, and what its library shows"
)]
mod breaker {
    mod call_window;
    mod circuit;
    mod config;
    mod counting;
    mod event;
    mod half_open;
    mod permit;
    mod primitives;
    mod rejected;
    mod snapshot;
    mod state;
    mod time_window;
    mod verdict;
    mod word;

    pub(crate) use circuit::Breaker;
    pub(crate) use config::{BreakerConfig, BreakerRate, BreakerTrip, BreakerWindow};
}

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
    guard(BreakerTrip::Rate(BreakerRate {
        window,
        ..BreakerRate::default()
    }))
}

fn guard(trip: BreakerTrip) -> impl Guard {
    let config = BreakerConfig {
        trip,
        ..BreakerConfig::default()
    };
    Ours(Breaker::new(config, 0, |_| {}))
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
