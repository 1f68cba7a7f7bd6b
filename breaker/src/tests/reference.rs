//! A naive breaker that follows the same rules.

use std::time::Duration;

use crate::{BreakerConfig, BreakerCounts, BreakerRate, BreakerState, BreakerTrip, BreakerWindow};

/// The rules of the breaker in their simplest form: one thread, numbered calls, all outcomes
/// stored.
pub(super) struct ReferenceBreaker {
    pub(super) config: BreakerConfig,
    pub(super) state: BreakerState,
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
    kind: Kind,
    slow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Success,
    Failure,
    Suspected,
    /// A suspected failure that was pardoned.
    Pardoned,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum CallEnd {
    Success,
    Failure,
    /// A failure that asks before it opens the breaker through suspected failures. The value is
    /// whether the answer is a pardon.
    TriedFailure(bool),
    /// Like [`TriedFailure`](Self::TriedFailure), but the call itself is suspected, too.
    Suspected(bool),
    Cancelled,
    Panicked,
}

impl ReferenceBreaker {
    pub(super) fn new(config: &BreakerConfig) -> Self {
        Self {
            config: config.clone(),
            state: BreakerState::Closed,
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
        if let CallEnd::Cancelled = end {
            position.map(|position| self.current.remove(position));
            return;
        }
        let failed = !matches!(end, CallEnd::Success);
        let Some(position) = position else {
            self.late += 1;
            return;
        };
        self.current.remove(position);
        let slow = self.slow_after().is_some_and(|after| took > after);
        match self.state {
            BreakerState::Closed => {
                let kind = match end {
                    CallEnd::Success => Kind::Success,
                    CallEnd::Suspected(_) => Kind::Suspected,
                    _ => Kind::Failure,
                };
                let at = now;
                self.outcomes.push(TimedOutcome { at, kind, slow });
                let (all, certain) = (self.trips(now, false), self.trips(now, true));
                let (asks, pardoned) = match end {
                    CallEnd::TriedFailure(pardoned) => (all && !certain, pardoned),
                    CallEnd::Suspected(pardoned) => (all, pardoned),
                    _ => (false, false),
                };
                if asks && pardoned {
                    for outcome in &mut self.outcomes {
                        if outcome.kind == Kind::Suspected {
                            (outcome.kind, outcome.slow) = (Kind::Pardoned, false);
                        }
                    }
                    // A pardoned call itself counts as cancelled.
                    if kind == Kind::Suspected {
                        self.outcomes.pop();
                    } else if self.trips(now, false) {
                        self.open(now);
                    }
                } else if asks || (failed && all) || (slow && certain) {
                    self.open(now);
                }
            }
            BreakerState::HalfOpen => {
                if let CallEnd::Suspected(true) = end {
                    return;
                }
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

    /// The failures in a row, without pardoned ones. With `certain`, also without suspected ones.
    pub(super) fn failures(&self, certain: bool) -> u32 {
        let latest = self.outcomes.iter().rev();
        let run = latest.take_while(|outcome| outcome.kind != Kind::Success);
        let failed = run.filter(|outcome| outcome.counts(certain) && outcome.kind.is_failed());
        failed.count() as u32
    }

    /// Whether the rule trips. With `certain`, suspected failures count as good calls.
    fn trips(&self, now: Duration, certain: bool) -> bool {
        match &self.config.trip {
            BreakerTrip::ConsecutiveFailures(failures) => self.failures(certain) == *failures,
            BreakerTrip::Rate(rate) => {
                let counts = self.window(rate, now, certain);
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

    pub(super) fn window(&self, rate: &BreakerRate, now: Duration, certain: bool) -> BreakerCounts {
        let mut counts = BreakerCounts::default();
        let latest = self.outcomes.iter().rev();
        let mut add = |outcome: &TimedOutcome| {
            counts.calls += 1;
            counts.failures += u64::from(outcome.counts(certain) && outcome.kind.is_failed());
            counts.slow += u64::from(outcome.counts(certain) && outcome.slow);
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

impl TimedOutcome {
    fn counts(&self, certain: bool) -> bool {
        !(certain && self.kind == Kind::Suspected)
    }
}

impl Kind {
    fn is_failed(self) -> bool {
        matches!(self, Self::Failure | Self::Suspected)
    }
}
