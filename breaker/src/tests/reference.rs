//! A naive breaker that follows the same rules.

use std::time::Duration;

use crate::{BreakerConfig, BreakerCounts, BreakerRate, BreakerState, BreakerTrip, BreakerWindow};

/// The rules of the breaker in their simplest form: one thread, numbered calls, all outcomes
/// stored.
pub(super) struct ReferenceBreaker {
    pub(super) config: BreakerConfig,
    pub(super) state: BreakerState,
    pub(super) failures: u32,
    outcomes: Vec<TimedOutcome>,
    succeeded: usize,
    failed: usize,
    /// The number of openings since the breaker was last closed.
    openings: u32,
    open_until: Duration,
    /// The calls whose outcomes still count. A probe also has the end of its lease.
    current: Vec<(usize, Option<Duration>)>,
    pub(super) late: u64,
    pub(super) rejected: u64,
    pub(super) changes: Vec<(BreakerState, BreakerState)>,
}

/// A success or failure since the breaker closed.
struct TimedOutcome {
    at: Duration,
    failed: bool,
    slow: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum CallEnd {
    Success,
    Failure,
    Cancelled,
    Panicked,
}

impl ReferenceBreaker {
    pub(super) fn new(config: &BreakerConfig) -> Self {
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

    pub(super) fn transition(&mut self, state: BreakerState) {
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
        self.transition(BreakerState::Open);
        let time = self.config.open * 2_u32.pow(self.openings.min(20));
        self.open_until = now + time.min(self.config.open_most.max(self.config.open));
        self.openings += 1;
    }

    pub(super) fn admit(&mut self, call: usize, now: Duration) -> Result<(), Duration> {
        if self.state == BreakerState::Open && now >= self.open_until {
            self.transition(BreakerState::HalfOpen);
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

    pub(super) fn record(&mut self, call: usize, end: CallEnd, took: Duration, now: Duration) {
        let position = self.current.iter().position(|(held, _)| *held == call);
        let failed = match end {
            CallEnd::Cancelled => {
                position.map(|position| self.current.remove(position));
                return;
            }
            CallEnd::Success => false,
            CallEnd::Failure | CallEnd::Panicked => true,
        };
        let Some(position) = position else {
            self.late += 1;
            return;
        };
        self.current.remove(position);
        let slow = self.slow_after().is_some_and(|after| took > after);
        match self.state {
            BreakerState::Closed => {
                self.outcomes.push(TimedOutcome {
                    at: now,
                    failed,
                    slow,
                });
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
                    self.transition(BreakerState::Closed);
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

    pub(super) fn window(&self, rate: &BreakerRate, now: Duration) -> BreakerCounts {
        let mut counts = BreakerCounts::default();
        let latest = self.outcomes.iter().rev();
        let mut add = |outcome: &TimedOutcome| {
            counts.calls += 1;
            counts.failures += u64::from(outcome.failed);
            counts.slow += u64::from(outcome.slow);
        };
        match rate.window {
            BreakerWindow::Calls(calls) => latest.take(calls as usize).for_each(&mut add),
            BreakerWindow::Time(time) => {
                let tenth = |at: Duration| at.as_nanos() / (time.as_nanos() / 10);
                latest
                    .filter(|outcome| tenth(outcome.at) + 10 > tenth(now))
                    .for_each(&mut add);
            }
        }
        counts
    }
}
