//! The primitives of the breaker: atomics, locks, the clock and thread numbers.
//!
//! No other file touches shared memory or time. So unit tests can run the same breaker with
//! instrumented primitives or, with `--cfg loom`, with loom's.

#[cfg(all(test, not(loom)))]
pub(crate) mod instrumented;
#[cfg(all(test, loom))]
pub(crate) mod modelled;
#[cfg(not(all(test, loom)))]
mod native;

#[cfg(all(test, not(loom)))]
pub(crate) use self::instrumented::{
    AtomicU64, Instant, Mutex, MutexGuard, Ordering, now, parallelism, thread_number,
};
#[cfg(all(test, loom))]
pub(crate) use self::modelled::{
    AtomicU64, Instant, Mutex, MutexGuard, Ordering, now, parallelism, thread_number,
};
#[cfg(not(test))]
pub(crate) use self::native::{
    AtomicU64, Instant, Mutex, MutexGuard, Ordering, now, parallelism, thread_number,
};
