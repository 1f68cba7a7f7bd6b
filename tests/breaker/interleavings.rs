//! Every interleaving of a few calls, tried by loom, up to three preemptions each: <https://docs.rs/loom>.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use self::breaker::circuit::Breaker;
use self::breaker::config::{BreakerConfig, BreakerRate, BreakerTrip, BreakerWindow};
use self::breaker::event::BreakerEvent;
use self::breaker::primitives::NUMBER;
use self::breaker::snapshot::BreakerCounts;
use self::breaker::state::BreakerState::{self, Closed, ForcedOpen, HalfOpen, Open};

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
        use std::sync::LazyLock;

        pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
        pub(crate) use loom::sync::{Mutex, MutexGuard};
        pub(crate) use tokio::time::Instant;

        loom::thread_local! {
            pub(crate) static NUMBER: Cell<usize> = Cell::new(0);
        }

        /// Time stands still: what happens must not depend on how long loom takes.
        pub(crate) fn now() -> Instant {
            static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);
            *NOW
        }

        pub(crate) fn thread_number() -> usize {
            NUMBER.with(Cell::get)
        }

        pub(crate) fn parallelism() -> usize {
            2
        }
    }
}

struct Model {
    /// Leaked: permits borrow it, and threads own what they use.
    breaker: &'static Breaker,
    changes: Changes,
}

/// What the changes of a breaker's state were, in their order.
type Changes = Arc<std::sync::Mutex<Vec<(BreakerState, BreakerState)>>>;

/// Tries `scenario` in every interleaving of the threads that it starts.
fn explore(scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(scenario);
}

impl Model {
    fn new(config: BreakerConfig) -> Self {
        let changes = Changes::default();
        let hook = {
            let changes = Arc::clone(&changes);
            move |event: &BreakerEvent| changes.lock().unwrap().push((event.from, event.to))
        };
        let breaker = Box::leak(Box::new(Breaker::new(config, 0, hook)));
        Self { breaker, changes }
    }

    /// Half-open at the next call: it has failed once, and the open time is zero.
    fn ready_to_probe(probes: usize) -> Self {
        let model = Self::new(BreakerConfig {
            open: Duration::ZERO,
            open_most: Duration::ZERO,
            half_open_permits: probes,
            half_open_successes: probes,
            ..failures(1)
        });
        fail(model.breaker);
        model
    }

    /// Runs `threads` at once, the first of them on this thread, and waits for all.
    fn run<const N: usize>(&self, threads: [fn(&'static Breaker); N]) {
        let start = |(number, thread): (usize, &fn(&'static Breaker))| {
            let (breaker, thread) = (self.breaker, *thread);
            thread::spawn(move || {
                NUMBER.with(|own| own.set(number));
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

fn give_up(breaker: &'static Breaker) {
    drop(breaker.admit());
}

/// A call that is still under way at the end.
fn hang(breaker: &'static Breaker) {
    std::mem::forget(breaker.admit());
}

#[test]
fn failures_at_once_are_all_counted_and_it_opens_once() {
    explore(|| {
        let model = Model::new(failures(3));
        model.run([fail, fail, fail]);
        assert_eq!(model.changes(), [(Closed, Open)]);
    });
}

#[test]
fn a_success_among_failures_starts_the_count_anew_or_is_not_among_them() {
    explore(|| {
        let model = Model::new(failures(2));
        model.run([fail, succeed, fail]);
        let snapshot = model.breaker.snapshot();
        match snapshot.state {
            Open => assert_eq!(snapshot.consecutive_failures, 0),
            Closed => assert_eq!(snapshot.consecutive_failures, 1, "the success was between"),
            state => panic!("it is {state}"),
        }
    });
}

/// It has failed once and opens at the second: whichever of the two calls comes second must have seen the first.
#[test]
fn a_success_beside_the_last_failure_prevents_it_or_comes_too_late() {
    for config in [failures(2), rate(BreakerWindow::Calls(2), 2)] {
        explore(move || {
            let model = Model::new(config.clone());
            fail(model.breaker);
            model.run([succeed, fail]);
            let snapshot = model.breaker.snapshot();
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
fn of_three_calls_at_once_one_is_the_probe() {
    explore(|| {
        let model = Model::ready_to_probe(1);
        model.run([hang, hang, hang]);
        let snapshot = model.breaker.snapshot();
        assert_eq!((snapshot.probes, snapshot.rejected), (1, 2));
        assert_eq!(model.changes(), [(Closed, Open), (Open, HalfOpen)]);
    });
}

#[test]
fn probes_that_are_given_up_leave_their_place_to_others() {
    explore(|| {
        let model = Model::ready_to_probe(1);
        fn probe(breaker: &'static Breaker) {
            let permit = breaker.admit();
            assert!(breaker.snapshot().probes <= 1);
            drop(permit);
        }
        model.run([probe, probe]);
        assert_eq!(model.breaker.snapshot().probes, 0);
        succeed(model.breaker);
        assert_eq!(model.state(), Closed);
    });
}

#[test]
fn probes_that_succeed_at_once_close_it_once() {
    explore(|| {
        let model = Model::ready_to_probe(2);
        model.run([succeed, succeed]);
        let expected = [(Closed, Open), (Open, HalfOpen), (HalfOpen, Closed)];
        assert_eq!(model.changes(), expected);
    });
}

#[test]
fn a_probe_that_fails_beside_one_that_succeeds_opens_it() {
    explore(|| {
        let model = Model::ready_to_probe(2);
        model.run([succeed, fail]);
        let changes = model.changes();
        let opened = [(Closed, Open), (Open, HalfOpen), (HalfOpen, Open)];
        assert_eq!(changes[..3], opened);
        // The success came before, or was late, or came after and was the first of two of the next probing.
        assert_ne!(model.state(), Closed, "{changes:?}");
    });
}

/// For each way to count: an outcome of before the reset is forgotten by it or late, and never counts after it.
#[test]
fn an_outcome_beside_a_reset_does_not_count_after_it() {
    for config in [
        failures(3),
        rate(BreakerWindow::Calls(3), 3),
        rate(AN_HOUR, 3),
    ] {
        for failed in [false, true] {
            let config = config.clone();
            explore(move || {
                let model = Model::new(config.clone());
                let permit = model.breaker.admit().unwrap();
                let call = thread::spawn(move || match failed {
                    true => permit.failure(),
                    false => permit.success(),
                });
                model.breaker.reset();
                call.join().unwrap();
                let snapshot = model.breaker.snapshot();
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

/// A call of before it opened fails beside the probe: the probe alone decides.
#[test]
fn a_late_outcome_beside_a_probe_decides_nothing() {
    for failed in [false, true] {
        explore(move || {
            let model = Model::new(BreakerConfig {
                open: Duration::ZERO,
                open_most: Duration::ZERO,
                ..failures(1)
            });
            let old = model.breaker.admit().unwrap();
            fail(model.breaker);
            let late = thread::spawn(move || match failed {
                true => old.failure(),
                false => old.success(),
            });
            succeed(model.breaker);
            late.join().unwrap();
            let expected = [(Closed, Open), (Open, HalfOpen), (HalfOpen, Closed)];
            assert_eq!(model.changes(), expected);
            assert_eq!(model.breaker.snapshot().late_outcomes, 1);
        });
    }
}

#[test]
fn a_window_of_calls_loses_none() {
    explore(|| {
        let model = Model::new(rate(BreakerWindow::Calls(10), 10));
        fn both(breaker: &'static Breaker) {
            fail(breaker);
            succeed(breaker);
        }
        model.run([both, succeed, fail]);
        let expected = BreakerCounts {
            calls: 4,
            failures: 2,
            slow: 0,
        };
        assert_eq!(model.breaker.snapshot().window, Some(expected));
    });
}

/// Two failures and a success in a window of two calls: it opens unless the success was between.
#[test]
fn a_window_of_calls_slides_over_one_order_of_all_calls() {
    explore(|| {
        let model = Model::new(rate(BreakerWindow::Calls(2), 2));
        model.run([fail, succeed, fail]);
        let snapshot = model.breaker.snapshot();
        match snapshot.state {
            Open => assert_eq!(snapshot.window, None),
            Closed => assert_eq!(snapshot.window.unwrap().failures, 1),
            state => panic!("it is {state}"),
        }
    });
}

#[test]
fn a_window_of_time_loses_none() {
    explore(|| {
        let model = Model::new(rate(AN_HOUR, 10));
        model.run([fail, succeed]);
        let expected = BreakerCounts {
            calls: 2,
            failures: 1,
            slow: 0,
        };
        assert_eq!(model.breaker.snapshot().window, Some(expected));
    });
}

#[test]
fn forced_open_beside_a_probe_it_stays_so() {
    for outcome in [succeed as fn(&'static Breaker), fail, give_up] {
        explore(move || {
            let model = Model::ready_to_probe(1);
            model.run([outcome, |breaker| breaker.force_open()]);
            assert_eq!(model.state(), ForcedOpen);
            assert_eq!(model.breaker.snapshot().probes, 0);
        });
    }
}

/// A snapshot is of one moment, whatever happens meanwhile.
#[test]
fn a_snapshot_is_of_one_moment() {
    fn look(breaker: &'static Breaker) {
        let snapshot = breaker.snapshot();
        assert_eq!(snapshot.open_for.is_some(), snapshot.state == Open);
        assert_eq!(snapshot.probes, usize::from(snapshot.state == HalfOpen));
    }
    explore(|| Model::new(failures(1)).run([look, fail, fail]));
    explore(|| Model::ready_to_probe(1).run([look, succeed]));
    explore(|| Model::ready_to_probe(1).run([look, fail]));
}
