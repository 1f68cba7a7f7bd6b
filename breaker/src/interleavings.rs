//! Runs a few calls in all interleavings with up to three preemptions: <https://docs.rs/loom>.

mod suspects;

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use crate::BreakerState::{self, Closed, ForcedOpen, HalfOpen, Open};
use crate::primitives::modelled::THREAD_NUMBER;
use crate::{
    Breaker, BreakerConfig, BreakerCounts, BreakerEvent, BreakerRate, BreakerTrip, BreakerWindow,
};

struct Scenario {
    /// Leaked, so permits can move to other threads.
    breaker: &'static Breaker,
    changes: Changes,
}

/// The changes of the breaker's state, in order.
type Changes = Arc<std::sync::Mutex<Vec<(BreakerState, BreakerState)>>>;

/// Runs `scenario` in every interleaving of its threads with up to three preemptions.
fn explore(scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(scenario);
}

impl Scenario {
    fn new(config: BreakerConfig) -> Self {
        let changes = Changes::default();
        let hook = {
            let changes = Arc::clone(&changes);
            move |event: &BreakerEvent| changes.lock().unwrap().push((event.from, event.to))
        };
        let breaker = Box::leak(Box::new(Breaker::new(config).unwrap().with_hook(hook)));
        Self { breaker, changes }
    }

    /// A breaker that one failure opened for zero time, so the next call is a probe.
    fn ready_to_probe(probes: usize) -> Self {
        let scenario = Self::new(BreakerConfig {
            open: Duration::ZERO,
            open_most: Duration::ZERO,
            half_open_permits: probes,
            half_open_successes: probes,
            ..failures(1)
        });
        fail(scenario.breaker);
        scenario
    }

    /// Runs `threads` concurrently, the first on this thread, and waits for all.
    fn run<const N: usize>(&self, threads: [fn(&'static Breaker); N]) {
        let start = |(number, thread): (usize, &fn(&'static Breaker))| {
            let (breaker, thread) = (self.breaker, *thread);
            thread::spawn(move || {
                THREAD_NUMBER.with(|own| own.set(number));
                thread(breaker);
            })
        };
        let others: Vec<_> = threads.iter().enumerate().skip(1).map(start).collect();
        threads[0](self.breaker);
        for other in others {
            other.join().unwrap();
        }
    }

    fn state(&self) -> BreakerState {
        self.breaker.snapshot().state
    }

    fn changes(&self) -> Vec<(BreakerState, BreakerState)> {
        self.changes.lock().unwrap().clone()
    }
}

fn failures(most: u32) -> BreakerConfig {
    BreakerConfig {
        trip: BreakerTrip::ConsecutiveFailures(most),
        ..BreakerConfig::default()
    }
}

fn rate(window: BreakerWindow, minimum_calls: u32) -> BreakerConfig {
    BreakerConfig {
        trip: BreakerTrip::Rate(BreakerRate {
            window,
            minimum_calls,
            failure_percent: 100,
            slow_calls: None,
        }),
        ..BreakerConfig::default()
    }
}

const AN_HOUR: BreakerWindow = BreakerWindow::Time(Duration::from_secs(3600));

fn succeed(breaker: &'static Breaker) {
    if let Ok(permit) = breaker.admit() {
        permit.success();
    }
}

fn fail(breaker: &'static Breaker) {
    if let Ok(permit) = breaker.admit() {
        permit.failure();
    }
}

fn cancel(breaker: &'static Breaker) {
    drop(breaker.admit());
}

/// Makes a call that never ends.
fn hang(breaker: &'static Breaker) {
    std::mem::forget(breaker.admit());
}

#[test]
fn concurrent_failures_are_all_counted_and_open_once() {
    explore(|| {
        let scenario = Scenario::new(failures(3));
        scenario.run([fail, fail, fail]);
        assert_eq!(scenario.changes(), [(Closed, Open)]);
    });
}

#[test]
fn success_between_failures_resets_the_count() {
    explore(|| {
        let scenario = Scenario::new(failures(2));
        scenario.run([fail, succeed, fail]);
        let snapshot = scenario.breaker.snapshot();
        match snapshot.state {
            Open => assert_eq!(snapshot.consecutive_failures, 0),
            Closed => assert_eq!(snapshot.consecutive_failures, 1, "the success came between"),
            state => panic!("it is {state}"),
        }
    });
}

/// The breaker opens at two failures, and has counted one. A success and a failure race: the later
/// call must see the effect of the earlier one.
#[test]
fn success_races_the_last_failure_and_is_first_or_late() {
    for config in [failures(2), rate(BreakerWindow::Calls(2), 2)] {
        explore(move || {
            let scenario = Scenario::new(config.clone());
            fail(scenario.breaker);
            scenario.run([succeed, fail]);
            let snapshot = scenario.breaker.snapshot();
            let counted = snapshot
                .window
                .map_or(snapshot.consecutive_failures.into(), |window| {
                    assert_eq!(window.calls, 2);
                    window.failures
                });
            match (snapshot.state, snapshot.late_outcomes + snapshot.rejected) {
                (Open, 1) => {}
                (Closed, 0) => assert_eq!(counted, 1),
                (state, late) => panic!("it is {state}, and {late} came too late"),
            }
        });
    }
}

#[test]
fn three_racing_calls_get_one_probe() {
    explore(|| {
        let scenario = Scenario::ready_to_probe(1);
        scenario.run([hang, hang, hang]);
        let snapshot = scenario.breaker.snapshot();
        assert_eq!((snapshot.probes, snapshot.rejected), (1, 2));
        assert_eq!(scenario.changes(), [(Closed, Open), (Open, HalfOpen)]);
    });
}

#[test]
fn cancelled_probes_are_replaced() {
    explore(|| {
        let scenario = Scenario::ready_to_probe(1);
        fn probe(breaker: &'static Breaker) {
            let permit = breaker.admit();
            assert!(breaker.snapshot().probes <= 1);
            drop(permit);
        }
        scenario.run([probe, probe]);
        assert_eq!(scenario.breaker.snapshot().probes, 0);
        succeed(scenario.breaker);
        assert_eq!(scenario.state(), Closed);
    });
}

#[test]
fn concurrent_probes_close_once() {
    explore(|| {
        let scenario = Scenario::ready_to_probe(2);
        scenario.run([succeed, succeed]);
        let expected = [(Closed, Open), (Open, HalfOpen), (HalfOpen, Closed)];
        assert_eq!(scenario.changes(), expected);
    });
}

#[test]
fn failed_probe_opens_despite_a_concurrent_success() {
    explore(|| {
        let scenario = Scenario::ready_to_probe(2);
        scenario.run([succeed, fail]);
        let changes = scenario.changes();
        let opened = [(Closed, Open), (Open, HalfOpen), (HalfOpen, Open)];
        assert_eq!(changes[..3], opened);
        // The success came first, was late, or was the first of the next two probes.
        assert_ne!(scenario.state(), Closed, "{changes:?}");
    });
}

/// An outcome that races a reset is either forgotten by the reset or late.
#[test]
fn outcome_that_races_a_reset_is_not_counted_after_it() {
    for config in [
        failures(3),
        rate(BreakerWindow::Calls(3), 3),
        rate(AN_HOUR, 3),
    ] {
        for failed in [false, true] {
            let config = config.clone();
            explore(move || {
                let scenario = Scenario::new(config.clone());
                let permit = scenario.breaker.admit().unwrap();
                let call = thread::spawn(move || match failed {
                    true => permit.failure(),
                    false => permit.success(),
                });
                scenario.breaker.reset();
                call.join().unwrap();
                let snapshot = scenario.breaker.snapshot();
                assert_eq!(snapshot.consecutive_failures, 0);
                assert_eq!(
                    snapshot.window.unwrap_or_default(),
                    BreakerCounts::default()
                );
                assert!(snapshot.late_outcomes <= 1);
            });
        }
    }
}

/// A call admitted before the breaker opened races the probe. Only the probe decides the next
/// state.
#[test]
fn late_outcome_that_races_a_probe_decides_nothing() {
    for failed in [false, true] {
        explore(move || {
            let scenario = Scenario::new(BreakerConfig {
                open: Duration::ZERO,
                open_most: Duration::ZERO,
                ..failures(1)
            });
            let old = scenario.breaker.admit().unwrap();
            fail(scenario.breaker);
            let late = thread::spawn(move || match failed {
                true => old.failure(),
                false => old.success(),
            });
            succeed(scenario.breaker);
            late.join().unwrap();
            let expected = [(Closed, Open), (Open, HalfOpen), (HalfOpen, Closed)];
            assert_eq!(scenario.changes(), expected);
            assert_eq!(scenario.breaker.snapshot().late_outcomes, 1);
        });
    }
}

#[test]
fn window_of_calls_counts_every_call() {
    explore(|| {
        let scenario = Scenario::new(rate(BreakerWindow::Calls(10), 10));
        fn both(breaker: &'static Breaker) {
            fail(breaker);
            succeed(breaker);
        }
        scenario.run([both, succeed, fail]);
        let expected = BreakerCounts {
            calls: 4,
            failures: 2,
            slow: 0,
        };
        assert_eq!(scenario.breaker.snapshot().window, Some(expected));
    });
}

/// Two failures and a success share a window of two calls. The breaker opens unless the success
/// comes between the failures.
#[test]
fn window_of_calls_slides_over_one_order_of_calls() {
    explore(|| {
        let scenario = Scenario::new(rate(BreakerWindow::Calls(2), 2));
        scenario.run([fail, succeed, fail]);
        let snapshot = scenario.breaker.snapshot();
        match snapshot.state {
            Open => assert_eq!(snapshot.window, None),
            Closed => assert_eq!(snapshot.window.unwrap().failures, 1),
            state => panic!("it is {state}"),
        }
    });
}

#[test]
fn window_of_time_counts_every_call() {
    explore(|| {
        let scenario = Scenario::new(rate(AN_HOUR, 10));
        scenario.run([fail, succeed]);
        let expected = BreakerCounts {
            calls: 2,
            failures: 1,
            slow: 0,
        };
        assert_eq!(scenario.breaker.snapshot().window, Some(expected));
    });
}

#[test]
fn forced_open_that_races_a_probe_stays_so() {
    for outcome in [succeed as fn(&'static Breaker), fail, cancel] {
        explore(move || {
            let scenario = Scenario::ready_to_probe(1);
            scenario.run([outcome, |breaker| breaker.force_open()]);
            assert_eq!(scenario.state(), ForcedOpen);
            assert_eq!(scenario.breaker.snapshot().probes, 0);
        });
    }
}

#[test]
fn snapshot_is_consistent_during_changes() {
    fn look(breaker: &'static Breaker) {
        let snapshot = breaker.snapshot();
        assert_eq!(snapshot.open_for.is_some(), snapshot.state == Open);
        assert_eq!(snapshot.probes, usize::from(snapshot.state == HalfOpen));
    }
    explore(|| Scenario::new(failures(1)).run([look, fail, fail]));
    explore(|| Scenario::ready_to_probe(1).run([look, succeed]));
    explore(|| Scenario::ready_to_probe(1).run([look, fail]));
}
