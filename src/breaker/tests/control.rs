//! Open times, what operators decide, and what is told of it.

use super::*;
use BreakerState::{Closed, Disabled, ForcedOpen, HalfOpen, Open};

/// How long it stays open each time when no probe succeeds.
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
async fn open_times_double_up_to_the_most_and_start_again_when_it_closes() {
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
async fn jitter_shortens_open_times_within_its_bounds_and_follows_from_the_seed() {
    let with_seed = |seed| async move {
        let breaker = Breaker::new(growing(25), seed, |_| {});
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
async fn forced_open_it_admits_nothing_whatever_happens_until_released() {
    let (breaker, seen) = default_breaker();
    let under_way = breaker.admit().unwrap();
    breaker.force_open();
    under_way.success();
    breaker.reset();
    tokio::time::advance(Duration::from_secs(100_000)).await;
    let rejected = breaker.admit().unwrap_err();
    assert_eq!(rejected.retry_after, Duration::from_secs(60));
    let why = rejected.as_str();
    assert!(why.contains("operator"), "{why}");
    breaker.release();
    succeed(&breaker, 1);
    assert_eq!(
        *seen.lock().unwrap(),
        [(Closed, ForcedOpen), (ForcedOpen, Closed)]
    );
}

#[tokio::test(start_paused = true)]
async fn disabled_it_admits_everything_and_counts_nothing_until_released() {
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
async fn an_operator_overrules_it_and_sees_that() {
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
async fn probes_under_way_are_seen_and_told_to_who_is_turned_away() {
    let (breaker, _) = default_breaker();
    open_and_wait(&breaker).await;
    let open = breaker.admit().unwrap();
    assert_eq!(breaker.snapshot().probes, 1);
    let why = breaker.admit().unwrap_err().as_str();
    assert!(why.contains("waits for the outcome"), "{why}");
    open.success();
    assert_eq!(breaker.snapshot().probes, 0);
}

#[tokio::test(start_paused = true)]
async fn releasing_a_breaker_that_opened_by_itself_changes_nothing() {
    let (breaker, _) = default_breaker();
    fail(&breaker, 5);
    breaker.release();
    assert_eq!(state(&breaker), Open);
}

#[tokio::test(start_paused = true)]
async fn subscribers_are_told_every_change_in_order() {
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
async fn a_subscriber_that_sleeps_misses_the_oldest_events_and_knows_it() {
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

/// A destructor that makes a call while its thread panics, and gives it up, says nothing about the model.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_given_up_during_a_panic_is_not_one_that_panicked() {
    struct Caller(Arc<Breaker>);
    impl Drop for Caller {
        fn drop(&mut self) {
            drop(self.0.admit().unwrap());
        }
    }
    let (breaker, _) = default_breaker();
    let caller = Caller(Arc::clone(&breaker));
    let caught = crate::panics::catch(move || {
        let _caller = caller;
        panic!("not the model's fault");
    });
    assert!(caught.is_err());
    assert_eq!(breaker.snapshot().consecutive_failures, 0);
}
