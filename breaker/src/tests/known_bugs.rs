//! Known bugs of other circuit breakers: each test asserts that this breaker lacks the bug.

use super::*;

/// resilience4j 544: a probe that ended with an ignored exception was never released.
/// <https://github.com/resilience4j/resilience4j/issues/544>
#[tokio::test(start_paused = true)]
async fn resilience4j_544_cancelled_probes_are_released() {
    let (breaker, _) = breaker(three_probes());
    open_and_wait(&breaker).await;
    for _ in 0..100 {
        breaker.admit().unwrap().cancel();
    }
    succeed(&breaker, 3);
    assert_eq!(state(&breaker), BreakerState::Closed);
}

/// resilience4j 858: a permit that was taken without a call was never released.
/// <https://github.com/resilience4j/resilience4j/issues/858>
#[tokio::test(start_paused = true)]
async fn resilience4j_858_unused_permits_are_released() {
    let (breaker, _) = default_breaker();
    open_and_wait(&breaker).await;
    for _ in 0..100 {
        assert!(breaker.admit().is_ok(), "the permit is dropped at once");
    }
    assert_eq!(breaker.snapshot().probes, 0);
    succeed(&breaker, 1);
    assert_eq!(state(&breaker), BreakerState::Closed);
}

/// Polly 1979: after a probe ended with an unhandled exception, no probe was ever admitted.
/// <https://github.com/App-vNext/Polly/issues/1979>
#[tokio::test(start_paused = true)]
async fn polly_1979_panicked_probe_is_followed_by_another() {
    let (breaker, _) = default_breaker();
    open_and_wait(&breaker).await;
    assert!(panics(|| {
        let _permit = breaker.admit().unwrap();
        panic!("the probe panicked");
    }));
    assert_eq!(state(&breaker), BreakerState::Open);
    tokio::time::advance(Duration::from_secs(60)).await;
    succeed(&breaker, 1);
    assert_eq!(state(&breaker), BreakerState::Closed);
}

/// linkerd2-proxy: its gate waits without a limit for the outcome of its one probe.
/// <https://github.com/linkerd/linkerd2-proxy>
#[tokio::test(start_paused = true)]
async fn linkerd2_gate_endless_probe_is_replaced() {
    let (breaker, _) = default_breaker();
    open_and_wait(&breaker).await;
    std::mem::forget(breaker.admit().unwrap());
    assert!(breaker.admit().is_err());
    tokio::time::advance(BreakerConfig::default().probe_lease).await;
    succeed(&breaker, 1);
    assert_eq!(state(&breaker), BreakerState::Closed);
}

/// failsafe-rs and recloser: while half-open, they admitted 50 of 50 concurrent calls.
#[tokio::test(start_paused = true)]
async fn failsafe_and_recloser_50_tasks_get_exactly_one_probe() {
    let (breaker, _) = default_breaker();
    open_and_wait(&breaker).await;
    let mut tasks = tokio::task::JoinSet::new();
    let barrier = Arc::new(tokio::sync::Barrier::new(50));
    for _ in 0..50 {
        let (breaker, barrier) = (Arc::clone(&breaker), Arc::clone(&barrier));
        tasks.spawn(async move {
            let permit = breaker.admit();
            barrier.wait().await;
            permit.is_ok()
        });
    }
    let admitted = tasks
        .join_all()
        .await
        .into_iter()
        .filter(|admitted| *admitted)
        .count();
    assert_eq!(admitted, 1);
}

/// failsafe-rs and recloser: while half-open, they admitted too many calls. Here the breaker has
/// four permits, and two calls end between admissions.
#[tokio::test(start_paused = true)]
async fn failsafe_and_recloser_probes_never_exceed_permits() {
    let (breaker, _) = breaker(BreakerConfig {
        half_open_permits: 4,
        half_open_successes: 3,
        ..BreakerConfig::default()
    });
    open_and_wait(&breaker).await;
    let mut admitted = 0;
    for call in 0..50 {
        let Ok(permit) = breaker.admit() else {
            continue;
        };
        admitted += 1;
        match call {
            0 => permit.failure(),
            1 => permit.success(),
            // This call stays under way.
            _ => std::mem::forget(permit),
        }
    }
    assert_eq!(admitted, 4);
}

/// tower-resilience 0.14: after 10,000 successes a window of 100 calls needed 10,000 failures to
/// trip.
#[tokio::test(start_paused = true)]
async fn tower_resilience_window_of_calls_slides() {
    let (breaker, _) = breaker(BreakerConfig {
        trip: BreakerTrip::Rate(BreakerRate::default()),
        ..BreakerConfig::default()
    });
    succeed(&breaker, 10_000);
    fail(&breaker, 49);
    assert_eq!(state(&breaker), BreakerState::Closed);
    fail(&breaker, 1);
    assert_eq!(state(&breaker), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn tower_resilience_window_of_time_slides() {
    let (breaker, _) = breaker(BreakerConfig {
        trip: BreakerTrip::Rate(BreakerRate {
            window: BreakerWindow::Time(Duration::from_secs(10)),
            ..BreakerRate::default()
        }),
        ..BreakerConfig::default()
    });
    succeed(&breaker, 10_000);
    tokio::time::advance(Duration::from_secs(10)).await;
    fail(&breaker, 19);
    assert_eq!(state(&breaker), BreakerState::Closed);
    fail(&breaker, 1);
    assert_eq!(state(&breaker), BreakerState::Open);
}

/// In all compared breakers except gobreaker, a call admitted before the breaker opened decided the
/// half-open state. Its failure opened the breaker, or its success closed the breaker.
#[tokio::test(start_paused = true)]
async fn half_open_ignores_calls_admitted_earlier() {
    let (breaker, _) = breaker(three_probes());
    let (good, bad) = (breaker.admit().unwrap(), breaker.admit().unwrap());
    open_and_wait(&breaker).await;
    let probe = breaker.admit().unwrap();
    bad.failure();
    assert_eq!(state(&breaker), BreakerState::HalfOpen);
    good.success();
    probe.success();
    succeed(&breaker, 1);
    assert_eq!(state(&breaker), BreakerState::HalfOpen, "two of three");
    succeed(&breaker, 1);
    assert_eq!(breaker.snapshot().late_outcomes, 2);
    assert_eq!(state(&breaker), BreakerState::Closed);
}

fn three_probes() -> BreakerConfig {
    BreakerConfig {
        half_open_permits: 3,
        half_open_successes: 3,
        ..BreakerConfig::default()
    }
}
