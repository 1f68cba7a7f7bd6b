//! What went wrong in other circuit breakers, each as a test of this one.

use super::*;

/// resilience4j 544: the last probe ended with an exception that was to be ignored, and gave no place back.
/// <https://github.com/resilience4j/resilience4j/issues/544>
#[tokio::test(start_paused = true)]
async fn resilience4j_544_probes_that_say_nothing_do_not_use_up_the_places() {
    let (breaker, _) = breaker(three_probes());
    open_and_wait(&breaker).await;
    for _ in 0..100 {
        breaker.admit().unwrap().cancel();
    }
    succeed(&breaker, 3);
    assert_eq!(state(&breaker), BreakerState::Closed);
}

/// resilience4j 858: whoever asked whether a call was permitted, and then made none, held a place for ever.
/// <https://github.com/resilience4j/resilience4j/issues/858>
#[tokio::test(start_paused = true)]
async fn resilience4j_858_asking_and_not_calling_takes_no_place() {
    let (breaker, _) = default_breaker();
    open_and_wait(&breaker).await;
    for _ in 0..100 {
        assert!(breaker.admit().is_ok(), "the permit is dropped at once");
    }
    assert_eq!(breaker.snapshot().probes, 0);
    succeed(&breaker, 1);
    assert_eq!(state(&breaker), BreakerState::Closed);
}

/// Polly 1979: a probe ended with an exception that was not handled, and no probe was admitted ever again.
/// <https://github.com/App-vNext/Polly/issues/1979>
#[tokio::test(start_paused = true)]
async fn polly_1979_after_a_probe_that_panicked_there_is_another() {
    let (breaker, _) = default_breaker();
    open_and_wait(&breaker).await;
    let caught = crate::panics::catch(|| {
        let _permit = breaker.admit().unwrap();
        panic!("the probe panicked");
    });
    assert!(caught.is_err());
    assert_eq!(state(&breaker), BreakerState::Open);
    tokio::time::advance(Duration::from_secs(60)).await;
    succeed(&breaker, 1);
    assert_eq!(state(&breaker), BreakerState::Closed);
}

/// linkerd2-proxy's gate waits for the outcome of its one probe, however long that takes.
/// <https://github.com/linkerd/linkerd2-proxy>
#[tokio::test(start_paused = true)]
async fn linkerd2_gate_a_probe_that_never_ends_is_not_waited_for() {
    let (breaker, _) = default_breaker();
    open_and_wait(&breaker).await;
    std::mem::forget(breaker.admit().unwrap());
    assert!(breaker.admit().is_err());
    tokio::time::advance(BreakerConfig::default().probe_lease).await;
    succeed(&breaker, 1);
    assert_eq!(state(&breaker), BreakerState::Closed);
}

/// failsafe-rs and recloser admitted 50 of 50 calls that came while they were half-open.
#[tokio::test(start_paused = true)]
async fn failsafe_and_recloser_of_50_tasks_at_once_exactly_one_is_the_probe() {
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

/// The same with a breaker that permits three, and with calls that end while others ask.
#[tokio::test(start_paused = true)]
async fn failsafe_and_recloser_of_50_probes_no_more_than_permitted_are_made() {
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
            // The others stay under way.
            _ => std::mem::forget(permit),
        }
    }
    assert_eq!(admitted, 4);
}

/// tower-resilience 0.14: after 10,000 successes a window of 100 calls needed 10,000 failures to trip.
#[tokio::test(start_paused = true)]
async fn tower_resilience_a_window_of_calls_slides() {
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
async fn tower_resilience_a_window_of_time_slides() {
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

/// All but gobreaker: the failure of a call that was admitted before it opened ended the next half-open state, or its
/// success closed the breaker.
#[tokio::test(start_paused = true)]
async fn what_was_admitted_earlier_decides_nothing_while_half_open() {
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
