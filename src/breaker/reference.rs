//! The breaker compared with a naive one, step by step, on random histories.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{
    Breaker, BreakerConfig, BreakerCounts, BreakerRate, BreakerState, BreakerTrip, BreakerWindow,
    Permit, SlowCalls,
};

/// The same rules in the plainest form: one thread, one struct, every call by its number, every outcome remembered.
struct Naive {
    config: BreakerConfig,
    state: BreakerState,
    failures: u32,
    /// All that came since it closed: when, whether it failed, whether it was slow.
    outcomes: Vec<(Duration, bool, bool)>,
    succeeded: usize,
    failed: usize,
    /// How often it has opened since it was last closed.
    openings: u32,
    open_until: Duration,
    /// Calls whose outcome still counts, with the end of their lease if they are probes.
    current: Vec<(usize, Option<Duration>)>,
    late: u64,
    rejected: u64,
    changes: Vec<(BreakerState, BreakerState)>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Success,
    Failure,
    Cancelled,
    Panicked,
}

impl Naive {
    fn new(config: &BreakerConfig) -> Self {
        Self {
            config: config.clone(),
            state: BreakerState::Closed,
            failures: 0,
            outcomes: Vec::new(),
            succeeded: 0,
            failed: 0,
            openings: 0,
            open_until: Duration::ZERO,
            current: Vec::new(),
            late: 0,
            rejected: 0,
            changes: Vec::new(),
        }
    }

    fn go_to(&mut self, state: BreakerState) {
        if self.state != state {
            self.changes.push((self.state, state));
        }
        self.state = state;
        self.failures = 0;
        self.outcomes.clear();
        (self.succeeded, self.failed) = (0, 0);
        self.current.clear();
        if state == BreakerState::Closed {
            self.openings = 0;
        }
    }

    fn open(&mut self, now: Duration) {
        self.go_to(BreakerState::Open);
        let time = self.config.open * 2_u32.pow(self.openings.min(20));
        self.open_until = now + time.min(self.config.open_most.max(self.config.open));
        self.openings += 1;
    }

    fn admit(&mut self, call: usize, now: Duration) -> Result<(), Duration> {
        if self.state == BreakerState::Open && now >= self.open_until {
            self.go_to(BreakerState::HalfOpen);
        }
        let rejected = match self.state {
            BreakerState::Closed | BreakerState::Disabled => {
                self.current.push((call, None));
                return Ok(());
            }
            BreakerState::Open => self.open_until - now,
            BreakerState::ForcedOpen => self.config.open,
            BreakerState::HalfOpen => {
                let under_way = |until: Option<Duration>| until.is_some_and(|until| now < until);
                self.current.retain(|(_, until)| under_way(*until));
                let taken = self.current.len() + self.succeeded + self.failed;
                if taken < self.config.half_open_permits {
                    let lease = now + self.config.probe_lease;
                    self.current.push((call, Some(lease)));
                    return Ok(());
                }
                Duration::ZERO
            }
        };
        self.rejected += 1;
        Err(rejected)
    }

    fn settle(&mut self, call: usize, end: End, took: Duration, now: Duration) {
        let place = self.current.iter().position(|(held, _)| *held == call);
        let failed = match end {
            End::Cancelled => {
                place.map(|place| self.current.remove(place));
                return;
            }
            End::Success => false,
            End::Failure | End::Panicked => true,
        };
        let Some(place) = place else {
            self.late += 1;
            return;
        };
        self.current.remove(place);
        let slow = self.slow_after().is_some_and(|after| took > after);
        match self.state {
            BreakerState::Closed => {
                self.outcomes.push((now, failed, slow));
                self.failures = if failed { self.failures + 1 } else { 0 };
                if (failed || slow) && self.trips(now) {
                    self.open(now);
                }
            }
            BreakerState::HalfOpen => {
                self.failed += usize::from(failed || slow);
                self.succeeded += usize::from(!(failed || slow));
                let (needed, permits) = (
                    self.config.half_open_successes,
                    self.config.half_open_permits,
                );
                if self.succeeded == needed {
                    self.go_to(BreakerState::Closed);
                } else if self.failed > permits - needed {
                    self.open(now);
                }
            }
            BreakerState::Disabled => {}
            state => panic!("a call ended in its own generation while {state}"),
        }
    }

    fn slow_after(&self) -> Option<Duration> {
        match &self.config.trip {
            BreakerTrip::Rate(rate) => rate.slow_calls.as_ref().map(|slow| slow.longer_than),
            _ => None,
        }
    }

    fn trips(&self, now: Duration) -> bool {
        match &self.config.trip {
            BreakerTrip::ConsecutiveFailures(failures) => self.failures == *failures,
            BreakerTrip::Rate(rate) => {
                let counts = self.window(rate, now);
                let share = |bad: u64| bad as f64 / counts.calls as f64 * 100.0;
                let slow = rate.slow_calls.as_ref();
                counts.calls >= u64::from(rate.minimum_calls)
                    && (share(counts.failures) + 1e-9 >= f64::from(rate.failure_percent)
                        || slow.is_some_and(|slow| {
                            share(counts.slow) + 1e-9 >= f64::from(slow.percent)
                        }))
            }
        }
    }

    fn window(&self, rate: &BreakerRate, now: Duration) -> BreakerCounts {
        let mut counts = BreakerCounts::default();
        let latest = self.outcomes.iter().rev();
        let mut add = |&(_, failed, slow): &(Duration, bool, bool)| {
            counts.calls += 1;
            counts.failures += u64::from(failed);
            counts.slow += u64::from(slow);
        };
        match rate.window {
            BreakerWindow::Calls(calls) => latest.take(calls as usize).for_each(&mut add),
            BreakerWindow::Time(time) => {
                let tenth = |at: Duration| at.as_nanos() / (time.as_nanos() / 10);
                latest
                    .filter(|(at, ..)| tenth(*at) + 10 > tenth(now))
                    .for_each(&mut add);
            }
        }
        counts
    }
}

#[derive(Clone, Debug)]
enum Step {
    Admit,
    /// The end of the call at this place of those under way.
    Settle(usize, End),
    /// So many calls that each succeed at once.
    Succeed(usize),
    Advance(Duration),
    Reset,
    ForceOpen,
    Disable,
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        60 => Just(End::Failure),
        40 => Just(End::Success),
        20 => Just(End::Cancelled),
        1 => Just(End::Panicked),
    ];
    let seconds = (1..80_u64).prop_map(Duration::from_secs);
    let milliseconds = (1..3000_u64).prop_map(Duration::from_millis);
    prop_oneof![
        240 => Just(Step::Admit),
        240 => (0..8_usize, end).prop_map(|(place, end)| Step::Settle(place, end)),
        40 => (1..12_usize).prop_map(Step::Succeed),
        40 => seconds.prop_map(Step::Advance),
        80 => milliseconds.prop_map(Step::Advance),
        10 => Just(Step::Reset),
        3 => Just(Step::ForceOpen),
        3 => Just(Step::Disable),
        12 => Just(Step::Release),
    ]
}

fn trip() -> impl Strategy<Value = BreakerTrip> {
    let window = prop_oneof![
        (1..25_u32).prop_map(BreakerWindow::Calls),
        (1..40_u64).prop_map(|seconds| BreakerWindow::Time(Duration::from_secs(seconds))),
    ];
    let slow_calls =
        proptest::option::of((0..4_u64, 1..=100_u32).prop_map(|(seconds, percent)| {
            let longer_than = Duration::from_secs(seconds);
            SlowCalls {
                longer_than,
                percent,
            }
        }));
    let rate = (window, 1..12_u32, 1..=100_u32, slow_calls).prop_map(
        |(window, minimum_calls, failure_percent, slow_calls)| BreakerRate {
            window,
            minimum_calls: match window {
                BreakerWindow::Calls(calls) => minimum_calls.min(calls),
                BreakerWindow::Time(_) => minimum_calls,
            },
            failure_percent,
            slow_calls,
        },
    );
    prop_oneof![
        1 => (1..4_u32).prop_map(BreakerTrip::ConsecutiveFailures),
        3 => rate.prop_map(BreakerTrip::Rate),
    ]
}

fn config() -> impl Strategy<Value = BreakerConfig> {
    let probes = (1..5_usize).prop_flat_map(|permits| (Just(permits), 1..=permits));
    let times = (0..90_u64, 0..300_u64);
    (trip(), probes, times).prop_map(|(trip, (permits, successes), (open, open_most))| {
        let config = BreakerConfig {
            trip,
            open: Duration::from_secs(open),
            open_most: Duration::from_secs(open_most),
            half_open_permits: permits,
            half_open_successes: successes,
            probe_lease: Duration::from_secs(30),
            ..BreakerConfig::default()
        };
        assert_eq!(config.check(), Ok(()));
        config
    })
}

/// A call under way, of both.
struct Call<'a> {
    number: usize,
    began: Duration,
    permit: Permit<'a>,
}

impl Call<'_> {
    fn end(self, end: End) {
        match end {
            End::Success => self.permit.success(),
            End::Failure => self.permit.failure(),
            End::Cancelled => self.permit.cancel(),
            End::Panicked => {
                let permit = self.permit;
                // Not a message for each of thousands of cases.
                let payload = Box::new("the call panicked");
                let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                    let _permit = permit;
                    std::panic::resume_unwind(payload)
                }));
                assert!(unwound.is_err());
            }
        }
    }
}

fn compare(config: &BreakerConfig, steps: &[Step]) {
    let changes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let hook = {
        let changes = std::sync::Arc::clone(&changes);
        move |event: &super::BreakerEvent| changes.lock().unwrap().push((event.from, event.to))
    };
    let start = Instant::now();
    let breaker = Breaker::new(config.clone(), 0, hook);
    let mut naive = Naive::new(config);
    let mut under_way: Vec<Call<'_>> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let now = start.elapsed();
        let admit = |naive: &mut Naive| match (breaker.admit(), naive.admit(number, now)) {
            (Ok(permit), Ok(())) => Some(Call {
                number,
                began: now,
                permit,
            }),
            (Err(rejected), Err(retry_after)) => {
                assert_eq!(rejected.retry_after, retry_after);
                None
            }
            (real, naive) => panic!("step {number}: {real:?}, the naive one {naive:?}"),
        };
        let settle = |naive: &mut Naive, call: Call<'_>, end: End| {
            naive.settle(call.number, end, now - call.began, now);
            call.end(end);
        };
        match *step {
            Step::Admit => under_way.extend(admit(&mut naive)),
            Step::Settle(place, end) if !under_way.is_empty() => {
                let call = under_way.remove(place % under_way.len());
                settle(&mut naive, call, end);
            }
            Step::Settle(..) => {}
            Step::Succeed(times) => {
                for _ in 0..times {
                    if let Some(call) = admit(&mut naive) {
                        settle(&mut naive, call, End::Success);
                    }
                }
            }
            Step::Advance(time) => at_once(tokio::time::advance(time)),
            Step::Reset => {
                breaker.reset();
                match naive.state {
                    forced @ (BreakerState::ForcedOpen | BreakerState::Disabled) => {
                        naive.go_to(forced);
                    }
                    _ => naive.go_to(BreakerState::Closed),
                }
            }
            Step::ForceOpen => {
                breaker.force_open();
                naive.go_to(BreakerState::ForcedOpen);
            }
            Step::Disable => {
                breaker.disable();
                naive.go_to(BreakerState::Disabled);
            }
            Step::Release => {
                breaker.release();
                if matches!(
                    naive.state,
                    BreakerState::ForcedOpen | BreakerState::Disabled
                ) {
                    naive.go_to(BreakerState::Closed);
                }
            }
        }
        agree(&breaker, &naive, start.elapsed(), number);
        assert_eq!(
            *changes.lock().unwrap(),
            naive.changes,
            "after step {number}"
        );
    }
}

fn agree(breaker: &Breaker, naive: &Naive, now: Duration, number: usize) {
    let snapshot = breaker.snapshot();
    let closed = naive.state == BreakerState::Closed;
    let (failures, window) = match &naive.config.trip {
        BreakerTrip::ConsecutiveFailures(_) => (naive.failures, None),
        BreakerTrip::Rate(rate) => (0, closed.then(|| naive.window(rate, now))),
    };
    assert_eq!(snapshot.state, naive.state, "after step {number}");
    assert_eq!(
        snapshot.consecutive_failures, failures,
        "after step {number}"
    );
    assert_eq!(snapshot.window, window, "after step {number}");
    assert_eq!(snapshot.late_outcomes, naive.late, "after step {number}");
    assert_eq!(snapshot.rejected, naive.rejected, "after step {number}");
}

/// Polls a future that is ready after a yield or two.
fn at_once(future: impl Future<Output = ()>) {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while future.as_mut().poll(&mut context).is_pending() {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_the_naive_one(config in config(), steps in prop::collection::vec(step(), 1..500)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async { compare(&config, &steps) });
    }
}
