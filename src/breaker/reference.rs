//! The breaker compared with a naive one, step by step, on random histories.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Breaker, BreakerConfig, BreakerState, Permit};

/// The same rules in the plainest form: one thread, one struct, every call by its number.
struct Naive {
    config: BreakerConfig,
    state: BreakerState,
    failures: u32,
    successes: usize,
    open_until: Duration,
    /// Calls whose outcome still counts, with the end of their lease if they are probes.
    current: Vec<(usize, Option<Duration>)>,
    late: u64,
}

impl Naive {
    fn go_to(&mut self, state: BreakerState, now: Duration) {
        self.state = state;
        self.failures = 0;
        self.successes = 0;
        self.open_until = now + self.config.open;
        self.current.clear();
    }

    fn admit(&mut self, call: usize, now: Duration) -> Result<(), Duration> {
        if self.state == BreakerState::Open && now >= self.open_until {
            self.go_to(BreakerState::HalfOpen, now);
        }
        match self.state {
            BreakerState::Closed => self.current.push((call, None)),
            BreakerState::Open => return Err(self.open_until - now),
            BreakerState::HalfOpen => {
                self.current
                    .retain(|(_, until)| until.is_some_and(|until| now < until));
                if self.current.len() + self.successes >= self.config.half_open_permits {
                    return Err(Duration::ZERO);
                }
                self.current
                    .push((call, Some(now + self.config.probe_lease)));
            }
        }
        Ok(())
    }

    fn settle(&mut self, call: usize, success: Option<bool>, now: Duration) {
        let place = self
            .current
            .iter()
            .position(|(current, _)| *current == call);
        let (Some(place), Some(success)) = (place, success) else {
            self.late += u64::from(place.is_none() && success.is_some());
            self.current.retain(|(current, _)| *current != call);
            return;
        };
        self.current.remove(place);
        match (self.state, success) {
            (BreakerState::Closed, true) => self.failures = 0,
            (BreakerState::Closed, false) => {
                self.failures += 1;
                if self.failures == self.config.failures {
                    self.go_to(BreakerState::Open, now);
                }
            }
            (_, false) => self.go_to(BreakerState::Open, now),
            (_, true) => {
                self.successes += 1;
                if self.successes == self.config.half_open_permits {
                    self.go_to(BreakerState::Closed, now);
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Admit,
    /// The outcome of the call at this place of those under way; none is a cancelled one.
    Settle(usize, Option<bool>),
    Advance(u64),
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![3 => Just(Some(false)), 2 => Just(Some(true)), 1 => Just(None)];
    prop_oneof![
        6 => Just(Step::Admit),
        6 => (0..8_usize, outcome).prop_map(|(place, outcome)| Step::Settle(place, outcome)),
        2 => (1..80_u64).prop_map(Step::Advance),
        1 => Just(Step::Reset),
    ]
}

fn compare(config: &BreakerConfig, steps: &[Step]) {
    let breaker = Breaker::new(config.clone(), |_| {});
    let mut naive = Naive {
        config: config.clone(),
        state: BreakerState::Closed,
        failures: 0,
        successes: 0,
        open_until: Duration::ZERO,
        current: Vec::new(),
        late: 0,
    };
    let start = Instant::now();
    let mut under_way: Vec<(usize, Permit<'_>)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let now = start.elapsed();
        match *step {
            Step::Admit => match (breaker.admit(), naive.admit(number, now)) {
                (Ok(permit), Ok(())) => under_way.push((number, permit)),
                (Err(rejected), Err(retry_after)) => assert_eq!(rejected.retry_after, retry_after),
                (real, naive) => panic!("step {number}: {real:?}, the naive one {naive:?}"),
            },
            Step::Settle(place, outcome) if !under_way.is_empty() => {
                let (call, permit) = under_way.remove(place % under_way.len());
                match outcome {
                    Some(true) => permit.success(),
                    Some(false) => permit.failure(),
                    None => permit.cancel(),
                }
                naive.settle(call, outcome, now);
            }
            Step::Settle(..) => {}
            Step::Advance(seconds) => pollster(tokio::time::advance(Duration::from_secs(seconds))),
            Step::Reset => {
                breaker.reset();
                naive.go_to(BreakerState::Closed, now);
            }
        }
        let snapshot = breaker.snapshot();
        assert_eq!(snapshot.state, naive.state, "after step {number}");
        assert_eq!(
            snapshot.consecutive_failures, naive.failures,
            "after step {number}"
        );
        assert_eq!(snapshot.late_outcomes, naive.late, "after step {number}");
    }
}

/// Polls a future that is ready after a yield or two.
fn pollster(future: impl Future<Output = ()>) {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while future.as_mut().poll(&mut context).is_pending() {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_the_naive_one(
        failures in 1..4_u32,
        half_open_permits in 1..4_usize,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let lease = Duration::from_secs(30);
        let config = BreakerConfig { failures, half_open_permits, probe_lease: lease, ..BreakerConfig::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async { compare(&config, &steps) });
    }
}
