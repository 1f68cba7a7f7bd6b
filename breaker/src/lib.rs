#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod backoff;
mod breaker;
mod call_window;
mod config;
mod counts;
mod event;
mod half_open;
mod handle;
mod packed_state;
mod primitives;
mod rejected;
mod snapshot;
mod state;
mod time_window;
mod trip_rule;
mod verdict;

#[cfg(all(test, loom))]
mod interleavings;
#[cfg(all(test, not(loom)))]
mod tests;

pub use self::backoff::Backoff;
pub use self::breaker::{Breaker, Permit};
pub use self::config::{
    BreakerConfig, BreakerConfigError, BreakerRate, BreakerTrip, BreakerWindow, SlowCalls,
};
pub use self::counts::BreakerCounts;
pub use self::event::{BreakerEvent, BreakerEvents};
pub use self::handle::BreakerHandle;
pub use self::rejected::Rejected;
pub use self::snapshot::BreakerSnapshot;
pub use self::state::BreakerState;
