//! The rule that opens a breaker.

use std::time::Duration;

use super::config::{BreakerRate, BreakerTrip, BreakerWindow};
use super::primitives::Instant;
use super::time_window::TimeWindow;

/// The rule that opens the breaker and defines the count in its [`PackedState`].
///
/// [`PackedState`]: super::packed_state::PackedState
#[derive(Debug)]
pub(crate) enum TripRule {
    /// Opens after `limit` failures in a row. The count is the number of failures since the last
    /// success.
    Failures { limit: u32 },
    /// Uses a window of calls. The count is the number of good calls since the last bad one, at
    /// most `size`.
    Calls { rate: BreakerRate, size: u32 },
    /// Uses a window of time. The count is unused.
    Time {
        rate: BreakerRate,
        window: TimeWindow,
    },
}

impl TripRule {
    pub(crate) fn new(trip: &BreakerTrip, start: Instant) -> Self {
        match trip {
            BreakerTrip::ConsecutiveFailures(limit) => Self::Failures { limit: *limit },
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

    /// The count after a good call; `None` if the call does not change the count.
    #[inline]
    pub(crate) fn after_good(&self, count: u32) -> Option<u32> {
        match self {
            Self::Failures { .. } => (count > 0).then_some(0),
            Self::Calls { size, .. } => (count < *size).then(|| count + 1),
            Self::Time { .. } => None,
        }
    }

    /// The count at which a success has no effect.
    ///
    /// `None` if no such count exists, or if only a clock shows whether a call was good.
    pub(crate) fn saturated_count(&self) -> Option<u32> {
        match self {
            Self::Failures { .. } => Some(0),
            Self::Calls { size, .. } => self.slow_after().is_none().then_some(*size),
            Self::Time { .. } => None,
        }
    }

    /// The size of a window of calls; 0 for other rules.
    pub(crate) fn window_size(&self) -> u32 {
        match self {
            Self::Calls { size, .. } => *size,
            Self::Failures { .. } | Self::Time { .. } => 0,
        }
    }

    /// The duration after which a call is slow; `None` if the rule has no limit of slow calls.
    pub(crate) fn slow_after(&self) -> Option<Duration> {
        match self {
            Self::Failures { .. } => None,
            Self::Calls { rate, .. } | Self::Time { rate, .. } => {
                rate.slow_calls.as_ref().map(|slow| slow.longer_than)
            }
        }
    }
}
