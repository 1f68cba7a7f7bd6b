//! What a call costs, counted: clock reads, locks, shared words read and written, allocations.

use std::time::Duration;

use allocation_counter::measure;

use self::breaker::circuit::Breaker;
use self::breaker::config::{BreakerConfig, BreakerRate, BreakerTrip, BreakerWindow, SlowCalls};
use self::breaker::primitives::Cost;

#[expect(dead_code, unreachable_pub, reason = "what only the server needs")]
#[path = "../../src/breaker"]
mod breaker {
    pub(super) mod call_window;
    pub(super) mod circuit;
    pub(super) mod config;
    pub(super) mod counting;
    pub(super) mod event;
    pub(super) mod half_open;
    pub(super) mod permit;
    pub(super) mod rejected;
    pub(super) mod snapshot;
    pub(super) mod state;
    pub(super) mod time_window;
    pub(super) mod verdict;
    pub(super) mod word;

    pub(super) mod primitives {
        use std::cell::Cell;
        use std::sync::{LockResult, atomic};

        pub(crate) use std::sync::MutexGuard;
        pub(crate) use std::sync::atomic::Ordering;
        pub(crate) use tokio::time::Instant;

        /// What this thread has done so far.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Cost {
            pub(crate) clock_reads: u32,
            pub(crate) locks: u32,
            /// Atomic words, and not what is behind a lock.
            pub(crate) writes: u32,
        }

        thread_local! {
            static COST: Cell<Cost> = const { Cell::new(Cost { clock_reads: 0, locks: 0, writes: 0 }) };
        }

        impl Cost {
            /// Starts anew.
            pub(crate) fn take() -> Self {
                COST.take()
            }

            fn add(add: impl FnOnce(&mut Self)) {
                let mut cost = COST.get();
                add(&mut cost);
                COST.set(cost);
            }
        }

        #[derive(Debug)]
        pub(crate) struct AtomicU64(atomic::AtomicU64);

        impl AtomicU64 {
            pub(crate) fn new(value: u64) -> Self {
                Self(atomic::AtomicU64::new(value))
            }

            pub(crate) fn load(&self, ordering: Ordering) -> u64 {
                self.0.load(ordering)
            }

            pub(crate) fn fetch_add(&self, value: u64, ordering: Ordering) -> u64 {
                Cost::add(|cost| cost.writes += 1);
                self.0.fetch_add(value, ordering)
            }

            pub(crate) fn fetch_update(
                &self,
                set: Ordering,
                fetch: Ordering,
                next: impl FnMut(u64) -> Option<u64>,
            ) -> Result<u64, u64> {
                let before = self.0.fetch_update(set, fetch, next);
                Cost::add(|cost| cost.writes += u32::from(before.is_ok()));
                before
            }
        }

        #[derive(Debug)]
        pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

        impl<T> Mutex<T> {
            pub(crate) fn new(value: T) -> Self {
                Self(std::sync::Mutex::new(value))
            }

            pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
                Cost::add(|cost| cost.locks += 1);
                self.0.lock()
            }
        }

        pub(crate) fn now() -> Instant {
            Cost::add(|cost| cost.clock_reads += 1);
            Instant::now()
        }

        pub(crate) fn thread_number() -> usize {
            0
        }

        pub(crate) fn parallelism() -> usize {
            2
        }
    }
}

/// What `work` costs. It must not allocate.
fn cost(work: impl FnOnce()) -> Cost {
    Cost::take();
    let allocations = measure(work);
    assert_eq!(allocations.count_total, 0, "it allocates");
    Cost::take()
}

const NOTHING: Cost = Cost {
    clock_reads: 0,
    locks: 0,
    writes: 0,
};

fn consecutive() -> Breaker {
    Breaker::new(BreakerConfig::default(), 0, |_| {})
}

fn rate(window: BreakerWindow, slow_calls: Option<SlowCalls>) -> Breaker {
    let rate = BreakerRate {
        window,
        slow_calls,
        ..BreakerRate::default()
    };
    let config = BreakerConfig {
        trip: BreakerTrip::Rate(rate),
        ..BreakerConfig::default()
    };
    Breaker::new(config, 0, |_| {})
}

fn succeed(breaker: &Breaker) {
    breaker.admit().unwrap().success();
}

fn fail(breaker: &Breaker) {
    breaker.admit().unwrap().failure();
}

#[test]
fn a_success_after_a_success_reads_no_clock_takes_no_lock_and_writes_nothing() {
    let breaker = consecutive();
    assert_eq!(cost(|| succeed(&breaker)), NOTHING);
}

#[test]
fn a_success_after_a_window_of_them_reads_no_clock_takes_no_lock_and_writes_nothing() {
    let breaker = rate(BreakerWindow::Calls(100), None);
    fail(&breaker);
    (0..100).for_each(|_| succeed(&breaker));
    assert_eq!(cost(|| succeed(&breaker)), NOTHING);
}

#[test]
fn a_success_with_a_bad_call_in_the_window_writes_one_word() {
    let breaker = rate(BreakerWindow::Calls(100), None);
    fail(&breaker);
    let one_write = Cost {
        writes: 1,
        ..NOTHING
    };
    for _ in 0..100 {
        assert_eq!(cost(|| succeed(&breaker)), one_write);
    }
    assert_eq!(cost(|| succeed(&breaker)), NOTHING);
}

#[test]
fn a_failure_that_is_borne_writes_one_word() {
    let breaker = consecutive();
    let one_write = Cost {
        writes: 1,
        ..NOTHING
    };
    assert_eq!(cost(|| fail(&breaker)), one_write);
    assert_eq!(cost(|| succeed(&breaker)), one_write);
}

#[test]
fn a_cancelled_call_costs_nothing() {
    let breaker = consecutive();
    assert_eq!(cost(|| drop(breaker.admit())), NOTHING);
}

#[test]
fn a_window_of_time_reads_the_clock_and_takes_the_lock_of_the_thread_once() {
    let breaker = rate(BreakerWindow::Time(Duration::from_secs(60)), None);
    let once = Cost {
        clock_reads: 1,
        locks: 1,
        writes: 0,
    };
    assert_eq!(cost(|| succeed(&breaker)), once);
}

#[test]
fn looking_for_slow_calls_reads_the_clock_twice() {
    let slow_calls = SlowCalls {
        longer_than: Duration::from_secs(3600),
        percent: 50,
    };
    let breaker = rate(BreakerWindow::Calls(1), Some(slow_calls));
    succeed(&breaker);
    let twice = Cost {
        clock_reads: 2,
        ..NOTHING
    };
    assert_eq!(cost(|| succeed(&breaker)), twice);
}

#[test]
fn a_rejected_call_reads_the_clock_and_takes_the_lock_once() {
    let breaker = consecutive();
    (0..5).for_each(|_| fail(&breaker));
    let once = Cost {
        clock_reads: 1,
        locks: 1,
        writes: 1,
    };
    assert_eq!(cost(|| assert!(breaker.admit().is_err())), once);
}
