//! Tests of the breaker with instrumented native primitives.

mod config;
mod control;
mod cost;
mod known_bugs;
mod packed_state;
mod properties;
mod reference;
mod suspects;
mod window;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use super::*;

/// The changes of a breaker's state, as pairs of old and new state, in order.
type Changes = Arc<Mutex<Vec<(BreakerState, BreakerState)>>>;

fn breaker(config: BreakerConfig) -> (Arc<Breaker>, Changes) {
    let changes = Changes::default();
    let hook = {
        let changes = Arc::clone(&changes);
        move |event: &BreakerEvent| changes.lock().unwrap().push((event.from, event.to))
    };
    let breaker = Breaker::new(config).unwrap().with_hook(hook);
    (Arc::new(breaker), changes)
}

fn default_breaker() -> (Arc<Breaker>, Changes) {
    breaker(BreakerConfig::default())
}

/// Whether `work` panicked.
fn panics(work: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err()
}

fn fail(breaker: &Breaker, times: usize) {
    for _ in 0..times {
        breaker.admit().unwrap().failure();
    }
}

fn succeed(breaker: &Breaker, times: usize) {
    for _ in 0..times {
        breaker.admit().unwrap().success();
    }
}

fn state(breaker: &Breaker) -> BreakerState {
    breaker.snapshot().state
}

async fn open_and_wait(breaker: &Breaker) {
    fail(breaker, 5);
    tokio::time::advance(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn closed_opens_at_exactly_the_fifth_failure_in_a_row() {
    let (breaker, changes) = default_breaker();
    fail(&breaker, 4);
    breaker.admit().unwrap().success();
    fail(&breaker, 4);
    assert_eq!(breaker.snapshot().state, BreakerState::Closed);
    fail(&breaker, 1);
    assert_eq!(breaker.snapshot().state, BreakerState::Open);
    assert_eq!(
        breaker.admit().unwrap_err().retry_after,
        Duration::from_secs(60)
    );
    assert_eq!(
        *changes.lock().unwrap(),
        [(BreakerState::Closed, BreakerState::Open)]
    );
}

#[tokio::test(start_paused = true)]
async fn open_becomes_half_open_after_exactly_60_seconds() {
    let (breaker, _) = default_breaker();
    fail(&breaker, 5);
    tokio::time::advance(Duration::from_millis(59_999)).await;
    assert_eq!(
        breaker.admit().unwrap_err().retry_after,
        Duration::from_millis(1)
    );
    tokio::time::advance(Duration::from_millis(1)).await;
    let probe = breaker.admit().unwrap();
    assert_eq!(breaker.snapshot().state, BreakerState::HalfOpen);
    assert_eq!(breaker.admit().unwrap_err().retry_after, Duration::ZERO);
    probe.cancel();
    assert_eq!(breaker.snapshot().rejected, 2);
}

#[tokio::test(start_paused = true)]
async fn half_open_closes_on_success_and_opens_on_failure() {
    let (breaker, changes) = default_breaker();
    open_and_wait(&breaker).await;
    breaker.admit().unwrap().failure();
    assert_eq!(
        breaker.admit().unwrap_err().retry_after,
        Duration::from_secs(60)
    );
    tokio::time::advance(Duration::from_secs(60)).await;
    breaker.admit().unwrap().success();
    assert_eq!(breaker.snapshot().state, BreakerState::Closed);
    fail(&breaker, 4);
    assert_eq!(
        breaker.snapshot().state,
        BreakerState::Closed,
        "the count starts at zero"
    );
    use BreakerState::{Closed, HalfOpen, Open};
    let expected = [
        (Closed, Open),
        (Open, HalfOpen),
        (HalfOpen, Open),
        (Open, HalfOpen),
        (HalfOpen, Closed),
    ];
    assert_eq!(*changes.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn cancelled_call_is_neither_failure_nor_success() {
    let (breaker, _) = default_breaker();
    fail(&breaker, 4);
    drop(breaker.admit().unwrap());
    assert_eq!(
        breaker.snapshot().consecutive_failures,
        4,
        "neither a failure nor a success"
    );
    fail(&breaker, 1);
    tokio::time::advance(Duration::from_secs(60)).await;
    drop(breaker.admit().unwrap());
    assert_eq!(breaker.snapshot().probes, 0, "the probe is released");
    breaker.admit().unwrap().success();
    assert_eq!(breaker.snapshot().state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn permit_dropped_by_a_panic_is_a_failure() {
    let (breaker, _) = default_breaker();
    fail(&breaker, 4);
    assert!(panics(|| {
        let _permit = breaker.admit().unwrap();
        panic!("the call panicked");
    }));
    assert_eq!(breaker.snapshot().state, BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn late_outcomes_are_counted_and_change_nothing() {
    let (breaker, _) = default_breaker();
    let (good, bad) = (breaker.admit().unwrap(), breaker.admit().unwrap());
    open_and_wait(&breaker).await;
    let probe = breaker.admit().unwrap();
    good.success();
    bad.failure();
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.state, snapshot.late_outcomes),
        (BreakerState::HalfOpen, 2)
    );
    probe.success();
    assert_eq!(breaker.snapshot().state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn hung_probe_is_replaced_when_its_lease_expires() {
    let (breaker, _) = default_breaker();
    open_and_wait(&breaker).await;
    let hung = breaker.admit().unwrap();
    tokio::time::advance(Duration::from_secs(119)).await;
    assert!(breaker.admit().is_err());
    tokio::time::advance(Duration::from_secs(1)).await;
    let second = breaker.admit().unwrap();
    hung.failure();
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.state, snapshot.late_outcomes),
        (BreakerState::HalfOpen, 1)
    );
    second.success();
    assert_eq!(breaker.snapshot().state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn half_open_closes_after_all_required_successes() {
    let (breaker, _) = breaker(BreakerConfig {
        half_open_permits: 3,
        half_open_successes: 3,
        ..BreakerConfig::default()
    });
    open_and_wait(&breaker).await;
    let probes = [(); 3].map(|()| breaker.admit().unwrap());
    assert!(breaker.admit().is_err());
    for (before, probe) in probes.into_iter().enumerate() {
        assert_eq!(
            breaker.snapshot().state,
            BreakerState::HalfOpen,
            "after {before} successes"
        );
        probe.success();
    }
    assert_eq!(breaker.snapshot().state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn reset_closes_and_ignores_calls_under_way() {
    let (breaker, changes) = default_breaker();
    let old = breaker.admit().unwrap();
    fail(&breaker, 5);
    breaker.reset();
    fail(&breaker, 4);
    old.failure();
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.state, snapshot.consecutive_failures),
        (BreakerState::Closed, 4)
    );
    assert_eq!(
        changes.lock().unwrap().last(),
        Some(&(BreakerState::Open, BreakerState::Closed))
    );
    breaker.reset();
    assert_eq!(
        changes.lock().unwrap().len(),
        2,
        "closed to closed is no transition"
    );
}

/// In each round, real threads race for the one probe of a breaker whose open time of zero is over.
#[test]
fn racing_threads_get_exactly_one_probe() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 500;
    let (breaker, _) = breaker(BreakerConfig {
        trip: BreakerTrip::ConsecutiveFailures(1),
        open: Duration::ZERO,
        ..BreakerConfig::default()
    });
    fail(&breaker, 1);
    let barrier = Barrier::new(THREADS);
    let admitted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    barrier.wait();
                    let permit = breaker.admit();
                    admitted.fetch_add(u64::from(permit.is_ok()), Ordering::Relaxed);
                    barrier.wait();
                    if let Ok(probe) = permit {
                        probe.failure();
                    }
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), ROUNDS as u64);
}

#[test]
fn concurrent_failures_are_all_counted() {
    for _ in 0..200 {
        let (breaker, changes) = breaker(BreakerConfig {
            trip: BreakerTrip::ConsecutiveFailures(8),
            ..BreakerConfig::default()
        });
        let barrier = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let permit = breaker.admit().unwrap();
                    barrier.wait();
                    permit.failure();
                });
            }
        });
        assert_eq!(breaker.snapshot().state, BreakerState::Open);
        assert_eq!(changes.lock().unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn reject_if_open_rejects_while_open_and_takes_no_probe() {
    let (breaker, _) = default_breaker();
    assert!(breaker.reject_if_open().is_ok());
    fail(&breaker, 5);
    tokio::time::advance(Duration::from_millis(59_999)).await;
    assert_eq!(
        breaker.reject_if_open().unwrap_err().retry_after,
        Duration::from_millis(1)
    );
    assert_eq!(breaker.snapshot().rejected, 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(breaker.reject_if_open().is_ok());
    assert_eq!(state(&breaker), BreakerState::Open, "no call was admitted");
    breaker.admit().unwrap().success();
    breaker.force_open();
    assert!(breaker.reject_if_open().is_err());
    breaker.disable();
    assert!(breaker.reject_if_open().is_ok());
}
