//! Suspected failures: they count, but only a verdict lets them open the breaker.

use super::*;
use crate::SlowCalls;
use BreakerState::{Closed, HalfOpen, Open};

/// Reports suspected failures, which must be counted.
fn suspect(breaker: &Breaker, times: usize) {
    for _ in 0..times {
        breaker.admit().unwrap().suspect().unwrap();
    }
}

fn window(window: BreakerWindow, slow_calls: Option<SlowCalls>) -> BreakerConfig {
    let rate = BreakerRate {
        window,
        minimum_calls: 4,
        failure_percent: 50,
        slow_calls,
    };
    BreakerConfig {
        trip: BreakerTrip::Rate(rate),
        ..BreakerConfig::default()
    }
}

fn both_windows(slow_calls: Option<SlowCalls>) -> [BreakerConfig; 2] {
    let time = BreakerWindow::Time(Duration::from_secs(60));
    [BreakerWindow::Calls(10), time].map(|kind| window(kind, slow_calls.clone()))
}

#[tokio::test(start_paused = true)]
async fn suspected_failure_that_would_open_gives_its_permit_back() {
    let (breaker, changes) = default_breaker();
    suspect(&breaker, 4);
    let permit = breaker.admit().unwrap().suspect().unwrap_err();
    assert_eq!(breaker.snapshot().consecutive_failures, 4);
    permit.pardon();
    permit.cancel();
    assert_eq!(breaker.snapshot().consecutive_failures, 0);
    suspect(&breaker, 4);
    let permit = breaker.admit().unwrap().suspect().unwrap_err();
    assert!(changes.lock().unwrap().is_empty());
    permit.failure();
    assert_eq!(state(&breaker), Open);
}

#[tokio::test(start_paused = true)]
async fn pardon_keeps_certain_failures() {
    let (breaker, _) = default_breaker();
    suspect(&breaker, 2);
    fail(&breaker, 2);
    let permit = breaker.admit().unwrap().try_failure().unwrap_err();
    permit.pardon();
    permit.failure();
    assert_eq!(breaker.snapshot().consecutive_failures, 3);
    fail(&breaker, 1);
    assert_eq!(state(&breaker), Closed);
    breaker.admit().unwrap().try_failure().unwrap();
    assert_eq!(
        state(&breaker),
        Open,
        "five certain failures need no verdict"
    );
}

#[tokio::test(start_paused = true)]
async fn success_forgets_suspected_failures() {
    let (breaker, _) = default_breaker();
    suspect(&breaker, 4);
    succeed(&breaker, 1);
    fail(&breaker, 3);
    let pardoning = breaker.admit().unwrap();
    pardoning.pardon();
    pardoning.cancel();
    assert_eq!(breaker.snapshot().consecutive_failures, 3);
}

#[tokio::test(start_paused = true)]
async fn plain_failure_opens_through_suspected_ones() {
    let (breaker, _) = default_breaker();
    suspect(&breaker, 4);
    fail(&breaker, 1);
    assert_eq!(state(&breaker), Open);
}

#[tokio::test(start_paused = true)]
async fn pardoned_calls_are_good_calls_of_a_window() {
    for config in both_windows(None) {
        let (breaker, _) = breaker(config);
        suspect(&breaker, 3);
        let permit = breaker.admit().unwrap().suspect().unwrap_err();
        permit.pardon();
        permit.cancel();
        let counts = breaker.snapshot().window.unwrap();
        assert_eq!((counts.calls, counts.failures), (3, 0));
        fail(&breaker, 2);
        assert_eq!(state(&breaker), Closed);
        fail(&breaker, 1);
        assert_eq!(state(&breaker), Open, "three of six calls failed");
    }
}

/// Two suspected failures and a certain one are three of four calls. Only the certain one remains.
#[tokio::test(start_paused = true)]
async fn tried_failure_opens_a_window_only_by_certain_failures() {
    for config in both_windows(None) {
        let (breaker, _) = breaker(config);
        suspect(&breaker, 2);
        succeed(&breaker, 1);
        let permit = breaker.admit().unwrap().try_failure().unwrap_err();
        permit.pardon();
        permit.failure();
        let counts = breaker.snapshot().window.unwrap();
        assert_eq!((counts.calls, counts.failures), (4, 1));
        breaker.admit().unwrap().try_failure().unwrap();
        breaker.admit().unwrap().try_failure().unwrap();
        assert_eq!(state(&breaker), Open, "three of six calls failed");
    }
}

/// The fourth call is a slow success, with which the rule may trip. It must not open the breaker
/// through failures that nobody judged.
#[tokio::test(start_paused = true)]
async fn slow_success_does_not_open_through_suspected_failures() {
    let slow_calls = SlowCalls {
        longer_than: Duration::from_secs(1),
        percent: 50,
    };
    for config in both_windows(Some(slow_calls)) {
        let (breaker, _) = breaker(config);
        let slow = breaker.admit().unwrap();
        let slow_suspects = [(); 3].map(|()| breaker.admit().unwrap());
        tokio::time::advance(Duration::from_secs(2)).await;
        for permit in slow_suspects {
            permit.suspect().unwrap();
        }
        slow.success();
        assert_eq!(state(&breaker), Closed);
        let permit = breaker.admit().unwrap().suspect().unwrap_err();
        permit.pardon();
        permit.cancel();
        let counts = breaker.snapshot().window.unwrap();
        assert_eq!((counts.calls, counts.failures, counts.slow), (4, 0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn suspected_probe_decides_nothing() {
    let (breaker, _) = default_breaker();
    open_and_wait(&breaker).await;
    let probe = breaker.admit().unwrap();
    assert!(probe.is_probe());
    let probe = probe.suspect().unwrap_err();
    assert!(
        breaker.admit().is_err(),
        "the probe keeps its place until its verdict"
    );
    probe.pardon();
    probe.cancel();
    assert_eq!(state(&breaker), HalfOpen);
    breaker.admit().unwrap().suspect().unwrap_err().failure();
    assert_eq!(state(&breaker), Open);
}

#[tokio::test(start_paused = true)]
async fn late_suspected_failures_count_as_late() {
    let (breaker, _) = default_breaker();
    let old = breaker.admit().unwrap();
    open_and_wait(&breaker).await;
    let hung = breaker.admit().unwrap();
    tokio::time::advance(BreakerConfig::default().probe_lease).await;
    let probe = breaker.admit().unwrap();
    old.suspect().unwrap();
    hung.suspect().unwrap();
    assert_eq!(breaker.snapshot().late_outcomes, 2);
    probe.success();
    assert!(!breaker.admit().unwrap().is_probe());
}

#[tokio::test(start_paused = true)]
async fn pardon_after_a_change_of_state_has_no_effect() {
    let (breaker, _) = default_breaker();
    let old = breaker.admit().unwrap();
    breaker.reset();
    suspect(&breaker, 3);
    old.pardon();
    old.cancel();
    assert_eq!(breaker.snapshot().consecutive_failures, 3);
}

#[tokio::test(start_paused = true)]
async fn restarted_call_is_slow_only_by_its_own_duration() {
    let slow_calls = SlowCalls {
        longer_than: Duration::from_secs(1),
        percent: 50,
    };
    for config in both_windows(Some(slow_calls)) {
        let (breaker, _) = breaker(config);
        let mut permit = breaker.admit().unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        permit.restart();
        tokio::time::advance(Duration::from_secs(1)).await;
        permit.success();
        assert_eq!(breaker.snapshot().window.unwrap().slow, 0);
    }
}
