//! What a breaker counts.

use std::time::Duration;

use super::config::{BreakerRate, BreakerTrip, BreakerWindow};
use super::primitives::Instant;
use super::time_window::TimeWindow;

/// What opens the breaker, and what its word counts.
#[derive(Debug)]
pub(super) enum Counting {
    /// The word counts failures since the last success.
    Failures { most: u32 },
    /// The word counts successes since the last bad call, but no more than the window holds.
    Calls { rate: BreakerRate, size: u32 },
    /// The word counts nothing.
    Time {
        rate: BreakerRate,
        window: TimeWindow,
    },
}

impl Counting {
    pub(super) fn new(trip: &BreakerTrip, start: Instant) -> Self {
        match trip {
            BreakerTrip::ConsecutiveFailures(most) => Self::Failures { most: *most },
            BreakerTrip::Rate(rate) => match rate.window {
                BreakerWindow::Calls(size) => Self::Calls {
                    rate: rate.clone(),
                    size,
                },
                BreakerWindow::Time(time) => Self::Time {
                    rate: rate.clone(),
                    window: TimeWindow::new(time, start),
                },
            },
        }
    }

    /// The count after a call that was good; none if that makes no difference.
    pub(super) fn after_good(&self, count: u32) -> Option<u32> {
        match self {
            Self::Failures { .. } => (count > 0).then_some(0),
            Self::Calls { size, .. } => (count < *size).then(|| count + 1),
            Self::Time { .. } => None,
        }
    }

    /// The count at which a good call makes no difference; none if there is none, or if it takes a clock to tell whether a
    /// call was good.
    pub(super) fn quiet(&self) -> Option<u32> {
        match self {
            Self::Failures { .. } => Some(0),
            Self::Calls { size, .. } => self.slow_after().is_none().then_some(*size),
            Self::Time { .. } => None,
        }
    }

    /// How many calls a window of calls holds.
    pub(super) fn size(&self) -> u32 {
        match self {
            Self::Calls { size, .. } => *size,
            Self::Failures { .. } | Self::Time { .. } => 0,
        }
    }

    /// How long a call may take before it is slow, if anything is.
    pub(super) fn slow_after(&self) -> Option<Duration> {
        match self {
            Self::Failures { .. } => None,
            Self::Calls { rate, .. } | Self::Time { rate, .. } => {
                rate.slow_calls.as_ref().map(|slow| slow.longer_than)
            }
        }
    }
}
