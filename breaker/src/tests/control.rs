//! Open times, overrides and events.

use super::*;
use BreakerState::{Closed, Disabled, ForcedOpen, HalfOpen, Open};

/// The next open times of a breaker whose probes all fail.
async fn open_times(breaker: &Breaker, times: usize) -> Vec<Duration> {
    let mut seen = Vec::new();
    for _ in 0..times {
        while state(breaker) != Open {
            fail(breaker, 1);
        }
        let open = breaker.snapshot().open_for.unwrap();
        seen.push(open);
        tokio::time::advance(open).await;
        fail(breaker, 1);
    }
    seen
}

fn growing(jitter_percent: u32) -> BreakerConfig {
    BreakerConfig {
        open_most: Duration::from_secs(300),
        jitter_percent,
        ..BreakerConfig::default()
    }
}

#[tokio::test(start_paused = true)]
async fn open_time_doubles_up_to_the_most_until_it_closes() {
    let (breaker, _) = breaker(growing(0));
    let seconds = |times: Vec<Duration>| times.iter().map(Duration::as_secs).collect::<Vec<_>>();
    assert_eq!(
        seconds(open_times(&breaker, 5).await),
        [60, 120, 240, 300, 300]
    );
    tokio::time::advance(Duration::from_secs(300)).await;
    succeed(&breaker, 1);
    assert_eq!(seconds(open_times(&breaker, 2).await), [60, 120]);
}

#[tokio::test(start_paused = true)]
async fn jitter_is_bounded_and_follows_from_the_seed() {
    let with_seed = |seed| async move {
        let config = BreakerConfig {
            seed: Some(seed),
            ..growing(25)
        };
        let breaker = Breaker::new(config).unwrap();
        open_times(&breaker, 30).await
    };
    let times = with_seed(7).await;
    assert_eq!(times, with_seed(7).await);
    assert_ne!(times, with_seed(8).await);
    for time in &times[3..] {
        let bounds = Duration::from_secs(225)..=Duration::from_secs(300);
        assert!(bounds.contains(time), "{time:?}");
    }
    assert!(times[3..].iter().any(|time| *time != times[3]));
}

#[tokio::test(start_paused = true)]
async fn forced_open_admits_nothing_until_released() {
    let (breaker, changes) = default_breaker();
    let under_way = breaker.admit().unwrap();
    breaker.force_open();
    under_way.success();
    breaker.reset();
    tokio::time::advance(Duration::from_secs(100_000)).await;
    let rejected = breaker.admit().unwrap_err();
    assert_eq!(rejected.retry_after, Duration::from_secs(60));
    let text = rejected.to_string();
    assert_eq!(text, "the circuit breaker is forced_open: retry after 60s");
    breaker.release();
    succeed(&breaker, 1);
    assert_eq!(
        *changes.lock().unwrap(),
        [(Closed, ForcedOpen), (ForcedOpen, Closed)]
    );
}

#[tokio::test(start_paused = true)]
async fn disabled_admits_all_and_counts_nothing_until_released() {
    for trip in [
        BreakerTrip::ConsecutiveFailures(5),
        BreakerTrip::Rate(BreakerRate::default()),
        BreakerTrip::Rate(BreakerRate {
            window: BreakerWindow::Time(Duration::from_secs(60)),
            ..BreakerRate::default()
        }),
    ] {
        let (breaker, _) = breaker(BreakerConfig {
            trip,
            ..BreakerConfig::default()
        });
        breaker.disable();
        fail(&breaker, 100);
        breaker.reset();
        fail(&breaker, 100);
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.window), (Disabled, None));
        assert_eq!(
            (snapshot.late_outcomes, snapshot.consecutive_failures),
            (0, 0)
        );
        let under_way = breaker.admit().unwrap();
        breaker.release();
        under_way.failure();
        fail(&breaker, 4);
        assert_eq!(state(&breaker), Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn handle_overrides_and_shows_the_state() {
    let (breaker, _) = default_breaker();
    let handle = BreakerHandle::new(Arc::clone(&breaker));
    handle.force_open();
    assert_eq!(handle.snapshot().state, ForcedOpen);
    let shown = format!("{handle:?}");
    assert!(shown.contains("ForcedOpen"), "{shown}");
    handle.disable();
    assert_eq!(handle.snapshot().state, Disabled);
    handle.release();
    assert_eq!(handle.snapshot().state, Closed);
}

#[tokio::test(start_paused = true)]
async fn probe_under_way_is_in_snapshot_and_rejection() {
    let (breaker, _) = default_breaker();
    open_and_wait(&breaker).await;
    let probe = breaker.admit().unwrap();
    assert_eq!(breaker.snapshot().probes, 1);
    assert_eq!(breaker.admit().unwrap_err().state, HalfOpen);
    probe.success();
    assert_eq!(breaker.snapshot().probes, 0);
}

#[tokio::test(start_paused = true)]
async fn release_of_an_open_breaker_changes_nothing() {
    let (breaker, _) = default_breaker();
    fail(&breaker, 5);
    breaker.release();
    assert_eq!(state(&breaker), Open);
}

#[tokio::test(start_paused = true)]
async fn subscriber_gets_every_change_in_order() {
    let (breaker, _) = default_breaker();
    let mut events = breaker.subscribe();
    open_and_wait(&breaker).await;
    succeed(&breaker, 1);
    let event = |from, to, generation, open_for| BreakerEvent {
        from,
        to,
        generation,
        open_for,
    };
    let open_for = Some(Duration::from_secs(60));
    assert_eq!(events.next().await, Some(event(Closed, Open, 1, open_for)));
    assert_eq!(events.next().await, Some(event(Open, HalfOpen, 2, None)));
    assert_eq!(events.next().await, Some(event(HalfOpen, Closed, 3, None)));
    drop(breaker);
    assert_eq!(events.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn slow_subscriber_loses_the_oldest_events_and_counts_them() {
    let (breaker, _) = default_breaker();
    let mut events = breaker.subscribe();
    for _ in 0..BreakerEvents::CAPACITY {
        breaker.force_open();
        breaker.release();
    }
    let next = events.next().await.unwrap();
    assert_eq!(events.missed(), BreakerEvents::CAPACITY as u64);
    assert_eq!(next.generation, events.missed() + 1);
}

/// A destructor that runs during a panic can make a call and cancel that call.
#[tokio::test(start_paused = true)]
async fn call_cancelled_during_a_panic_is_no_failure() {
    struct Caller(Arc<Breaker>);
    impl Drop for Caller {
        fn drop(&mut self) {
            drop(self.0.admit().unwrap());
        }
    }
    let (breaker, _) = default_breaker();
    let caller = Caller(Arc::clone(&breaker));
    assert!(panics(move || {
        let _caller = caller;
        panic!("outside of the call");
    }));
    assert_eq!(breaker.snapshot().consecutive_failures, 0);
}
