//! The circuit breaker of a model: when too many of its calls fail nothing is asked of it for a while, then a little.
//!
//! [`Breaker`] is the whole of it: a call asks it for a [permit](permit::Permit) and tells that its outcome. What it
//! counts and when it trips is a [`BreakerTrip`]; the two sliding windows are each a file, and so is what goes on while
//! half-open. `tests/breaker` tries every interleaving of a few calls, and counts what a call costs.

mod call_window;
mod circuit;
mod config;
mod counting;
mod event;
mod half_open;
mod handle;
mod permit;
mod primitives;
mod rejected;
mod snapshot;
mod state;
mod time_window;
mod verdict;
mod word;

pub(crate) use self::circuit::Breaker;
pub use self::config::{BreakerConfig, BreakerRate, BreakerTrip, BreakerWindow, SlowCalls};
pub use self::event::{BreakerEvent, BreakerEvents};
pub use self::handle::BreakerHandle;
#[cfg(test)]
use self::permit::Permit;
pub(crate) use self::rejected::Rejected;
pub use self::snapshot::{BreakerCounts, BreakerSnapshot};
pub use self::state::BreakerState;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
