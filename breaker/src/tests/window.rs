//! Tests of the sliding windows.

use super::*;
use crate::primitives;
use crate::time_window::TimeWindow;
use crate::verdict::Verdict;

fn rate(rate: BreakerRate) -> Arc<Breaker> {
    let trip = BreakerTrip::Rate(rate);
    breaker(BreakerConfig {
        trip,
        ..BreakerConfig::default()
    })
    .0
}

fn counts(breaker: &Breaker) -> (u64, u64, u64) {
    let counts = breaker.snapshot().window.unwrap();
    (counts.calls, counts.failures, counts.slow)
}

#[tokio::test(start_paused = true)]
async fn window_below_minimum_calls_never_opens() {
    let breaker = rate(BreakerRate::default());
    fail(&breaker, 19);
    assert_eq!(state(&breaker), BreakerState::Closed);
    fail(&breaker, 1);
    assert_eq!(state(&breaker), BreakerState::Open);
    assert_eq!(
        breaker.snapshot().window,
        None,
        "only a closed breaker counts"
    );
}

#[tokio::test(start_paused = true)]
async fn window_of_calls_holds_only_the_last_calls() {
    let breaker = rate(BreakerRate {
        window: BreakerWindow::Calls(10),
        minimum_calls: 10,
        failure_percent: 30,
        slow_calls: None,
    });
    fail(&breaker, 2);
    succeed(&breaker, 8);
    assert_eq!(counts(&breaker), (10, 2, 0));
    succeed(&breaker, 1);
    assert_eq!(counts(&breaker), (10, 1, 0));
    fail(&breaker, 1);
    assert_eq!(
        counts(&breaker),
        (10, 1, 0),
        "the other old failure has left"
    );
    succeed(&breaker, 8);
    fail(&breaker, 1);
    assert_eq!(counts(&breaker), (10, 2, 0));
    succeed(&breaker, 1000);
    assert_eq!(counts(&breaker), (10, 0, 0));
    fail(&breaker, 2);
    assert_eq!(state(&breaker), BreakerState::Closed);
    fail(&breaker, 1);
    assert_eq!(state(&breaker), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn window_of_time_slides_in_tenths() {
    let breaker = rate(BreakerRate {
        window: BreakerWindow::Time(Duration::from_secs(10)),
        ..BreakerRate::default()
    });
    fail(&breaker, 3);
    tokio::time::advance(Duration::from_millis(9_999)).await;
    succeed(&breaker, 5);
    assert_eq!(counts(&breaker), (8, 3, 0));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(counts(&breaker), (5, 0, 0));
    tokio::time::advance(Duration::from_secs(1_000)).await;
    assert_eq!(counts(&breaker), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn slow_calls_open_whether_they_fail_or_not() {
    for window in [
        BreakerWindow::Calls(10),
        BreakerWindow::Time(Duration::from_secs(3600)),
    ] {
        let breaker = rate(BreakerRate {
            window,
            minimum_calls: 5,
            failure_percent: 100,
            slow_calls: Some(SlowCalls {
                longer_than: Duration::from_secs(2),
                percent: 60,
            }),
        });
        for (number, seconds) in [2, 3, 0, 3].into_iter().enumerate() {
            let permit = breaker.admit().unwrap();
            tokio::time::advance(Duration::from_secs(seconds)).await;
            if number == 1 {
                permit.failure();
            } else {
                permit.success();
            }
        }
        assert_eq!(counts(&breaker), (4, 1, 2), "exactly 2 s is not slow");
        let permit = breaker.admit().unwrap();
        tokio::time::advance(Duration::from_millis(2_001)).await;
        permit.success();
        assert_eq!(state(&breaker), BreakerState::Open);
    }
}

#[tokio::test(start_paused = true)]
async fn slow_probe_opens_again() {
    let breaker = rate(BreakerRate {
        minimum_calls: 1,
        slow_calls: Some(SlowCalls {
            longer_than: Duration::from_secs(2),
            percent: 100,
        }),
        ..BreakerRate::default()
    });
    fail(&breaker, 1);
    tokio::time::advance(Duration::from_secs(60)).await;
    let probe = breaker.admit().unwrap();
    tokio::time::advance(Duration::from_secs(3)).await;
    probe.success();
    assert_eq!(state(&breaker), BreakerState::Open);
}

/// The oldest success leaves the window, so the share of failures rises.
#[tokio::test(start_paused = true)]
async fn success_never_opens() {
    let breaker = rate(BreakerRate {
        window: BreakerWindow::Calls(4),
        minimum_calls: 4,
        failure_percent: 75,
        slow_calls: None,
    });
    fail(&breaker, 3);
    succeed(&breaker, 1);
    assert_eq!(counts(&breaker), (4, 3, 0));
    assert_eq!(state(&breaker), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn cancelled_call_is_not_in_the_window() {
    let breaker = rate(BreakerRate::default());
    for _ in 0..50 {
        breaker.admit().unwrap().cancel();
    }
    assert_eq!(counts(&breaker), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn window_is_empty_after_open_or_reset() {
    for window in [
        BreakerWindow::Calls(100),
        BreakerWindow::Time(Duration::from_secs(3600)),
    ] {
        let breaker = rate(BreakerRate {
            window,
            ..BreakerRate::default()
        });
        fail(&breaker, 20);
        tokio::time::advance(Duration::from_secs(60)).await;
        succeed(&breaker, 1);
        assert_eq!(counts(&breaker), (0, 0, 0));
        let old = breaker.admit().unwrap();
        fail(&breaker, 19);
        breaker.reset();
        old.success();
        assert_eq!(counts(&breaker), (0, 0, 0));
        assert_eq!(breaker.snapshot().late_outcomes, 1);
    }
}

/// The window restarts while a thread is preempted between loading the state and counting its call.
#[tokio::test(start_paused = true)]
async fn late_count_is_not_in_the_window() {
    let good = Verdict::GOOD;
    let start = primitives::now();
    let window = TimeWindow::new(Duration::from_secs(10), start);
    window.add(1, start, good);
    window.add(0, start, good);
    assert_eq!(window.tally(1, start).counts.calls, 1);
    let later = start + Duration::from_secs(10);
    window.add(1, later, good);
    window.add(1, start, good);
    assert_eq!(window.tally(1, later).counts.calls, 1);
}

#[test]
fn window_counts_each_call_of_concurrent_threads_once() {
    for window in [
        BreakerWindow::Calls(100_000),
        BreakerWindow::Time(Duration::from_secs(3600)),
    ] {
        let breaker = rate(BreakerRate {
            window,
            minimum_calls: 1,
            failure_percent: 100,
            slow_calls: None,
        });
        succeed(&breaker, 1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        fail(&breaker, 1);
                        succeed(&breaker, 9);
                    }
                });
            }
        });
        assert_eq!(counts(&breaker), (40_001, 4_000, 0), "{window:?}");
    }
}
