//! The operations of one call: clock reads, locks, writes to shared words, allocations.

use std::time::Duration;

use allocation_counter::measure;

use crate::primitives::instrumented::OperationCounts;
use crate::{Breaker, BreakerConfig, BreakerRate, BreakerTrip, BreakerWindow, SlowCalls};

/// Counts the operations of `work`, and asserts that `work` does not allocate.
fn operations(work: impl FnOnce()) -> OperationCounts {
    OperationCounts::take();
    let allocations = measure(work);
    assert_eq!(allocations.count_total, 0, "allocations");
    OperationCounts::take()
}

fn consecutive() -> Breaker {
    Breaker::new(BreakerConfig::default()).unwrap()
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
    Breaker::new(config).unwrap()
}

fn succeed(breaker: &Breaker) {
    breaker.admit().unwrap().success();
}

fn fail(breaker: &Breaker) {
    breaker.admit().unwrap().failure();
}

#[test]
fn success_after_a_success_has_no_cost() {
    let breaker = consecutive();
    assert_eq!(operations(|| succeed(&breaker)), OperationCounts::ZERO);
}

#[test]
fn success_after_a_window_of_them_has_no_cost() {
    let breaker = rate(BreakerWindow::Calls(100), None);
    fail(&breaker);
    (0..100).for_each(|_| succeed(&breaker));
    assert_eq!(operations(|| succeed(&breaker)), OperationCounts::ZERO);
}

#[test]
fn a_success_with_a_bad_call_in_the_window_writes_one_word() {
    let breaker = rate(BreakerWindow::Calls(100), None);
    fail(&breaker);
    let one_write = OperationCounts {
        writes: 1,
        ..OperationCounts::ZERO
    };
    for _ in 0..100 {
        assert_eq!(operations(|| succeed(&breaker)), one_write);
    }
    assert_eq!(operations(|| succeed(&breaker)), OperationCounts::ZERO);
}

#[test]
fn failure_below_the_limit_locks_and_writes_one_word() {
    let breaker = consecutive();
    let one_write = OperationCounts {
        writes: 1,
        ..OperationCounts::ZERO
    };
    let locked = OperationCounts {
        locks: 1,
        ..one_write
    };
    assert_eq!(operations(|| fail(&breaker)), locked);
    assert_eq!(operations(|| succeed(&breaker)), one_write);
}

#[test]
fn cancelled_call_has_no_cost() {
    let breaker = consecutive();
    assert_eq!(operations(|| drop(breaker.admit())), OperationCounts::ZERO);
}

#[test]
fn window_of_time_reads_the_clock_and_locks_once() {
    let breaker = rate(BreakerWindow::Time(Duration::from_secs(60)), None);
    let once = OperationCounts {
        clock_reads: 1,
        locks: 1,
        writes: 0,
    };
    assert_eq!(operations(|| succeed(&breaker)), once);
}

#[test]
fn slow_calls_read_the_clock_twice() {
    let slow_calls = SlowCalls {
        longer_than: Duration::from_secs(3600),
        percent: 50,
    };
    let breaker = rate(BreakerWindow::Calls(20), Some(slow_calls));
    (0..20).for_each(|_| succeed(&breaker));
    let twice = OperationCounts {
        clock_reads: 2,
        ..OperationCounts::ZERO
    };
    assert_eq!(operations(|| succeed(&breaker)), twice);
}

#[test]
fn rejected_call_reads_the_clock_and_locks_once() {
    let breaker = consecutive();
    (0..5).for_each(|_| fail(&breaker));
    let once = OperationCounts {
        clock_reads: 1,
        locks: 1,
        writes: 1,
    };
    assert_eq!(operations(|| assert!(breaker.admit().is_err())), once);
}
