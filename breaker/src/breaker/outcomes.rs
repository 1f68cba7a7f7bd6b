//! The effects of call outcomes on the breaker.

use super::permit::Outcome;
use super::transitions::CountStep;
use super::{Breaker, Guarded};
use crate::half_open::{Decision, ProbeId};
use crate::packed_state::PackedState;
use crate::primitives::{Instant, Ordering, now};
use crate::state::BreakerState;
use crate::trip_rule::TripRule;
use crate::verdict::Verdict;

impl Breaker {
    /// Whether the success of a call admitted at `packed` has no effect.
    #[inline]
    pub(super) fn ignores_success_since(&self, packed: PackedState) -> bool {
        let unchanged = self.load() == packed;
        unchanged
            && self
                .saturated_count
                .is_some_and(|count| packed.is_closed_at(count))
    }

    /// Records the outcome of a call that was admitted at `packed`.
    ///
    /// Must be called once for each call through the breaker, except for
    /// [ignored](Self::ignores_success_since) successes. Returns false, with nothing recorded, if
    /// the outcome must not open the breaker but would. Only suspected and tried failures do so;
    /// another outcome must be recorded afterwards.
    #[inline(never)]
    pub(super) fn record(
        &self,
        packed: PackedState,
        probe: Option<ProbeId>,
        at: Option<Instant>,
        outcome: Outcome,
    ) -> bool {
        let failed = match outcome {
            Outcome::Success => false,
            Outcome::Failure | Outcome::TriedFailure | Outcome::Suspected => true,
            Outcome::Cancelled => {
                if let Some(probe) = probe {
                    self.lock().half_open.release(probe);
                }
                return true;
            }
        };
        let slow = at.is_some_and(|at| self.is_slow(at));
        let suspected = outcome == Outcome::Suspected;
        let verdict = Verdict {
            failed,
            slow,
            suspected,
        };
        let generation = packed.generation();
        match (probe, verdict.is_bad()) {
            (Some(probe), _) if suspected => return self.is_late_probe(probe),
            (Some(probe), bad) => self.record_probe(generation, probe, bad),
            (None, false) => self.record_good(generation, verdict),
            (None, true) => return self.record_bad(generation, verdict, outcome),
        }
        true
    }

    /// Forgets the suspected failures of `generation`.
    #[cold]
    pub(super) fn pardon(&self, generation: u64) {
        let mut guarded = self.lock();
        let packed = self.load();
        if packed.generation() != generation || packed.state() != BreakerState::Closed {
            return;
        }
        match &self.rule {
            TripRule::Failures { .. } => {
                let suspected = guarded.suspected;
                // A count above 0 includes all suspected failures, since only this thread can
                // begin a new run of failures while it holds the lock.
                let certain = |count| (count > 0).then(|| count - suspected);
                // An error means that a success has reset the count.
                let _ = self.replace_count(generation, certain);
                guarded.suspected = 0;
            }
            TripRule::Calls { .. } => guarded.window.pardon(),
            TripRule::Time { window, .. } => window.pardon(generation),
        }
    }

    fn is_slow(&self, since: Instant) -> bool {
        let took = now().saturating_duration_since(since);
        self.slow_after.is_some_and(|after| took > after)
    }

    #[inline]
    fn record_good(&self, generation: u64, verdict: Verdict) {
        let next = |count| self.rule.after_good(count);
        let packed = match self.replace_count(generation, next) {
            Ok(_) => return,
            Err(packed) => packed,
        };
        if packed.generation() != generation {
            self.record_late();
        } else if let (BreakerState::Closed, TripRule::Time { window, .. }) =
            (packed.state(), &self.rule)
        {
            window.add(generation, now(), verdict);
        }
    }

    /// Records a failed or slow call. Returns false if the outcome must not open the breaker but
    /// would.
    #[cold]
    fn record_bad(&self, generation: u64, verdict: Verdict, outcome: Outcome) -> bool {
        let mut guarded = self.lock();
        // While this thread holds the lock, other threads can change only the count, and only by
        // good calls.
        let packed = self.load();
        if packed.generation() != generation {
            self.record_late();
            return true;
        }
        if packed.state() != BreakerState::Closed {
            return true;
        }
        let step = match &self.rule {
            TripRule::Failures { limit } => {
                let suspected = |guarded: &Guarded, count: u32| {
                    let before = if count == 0 { 0 } else { guarded.suspected };
                    before + u32::from(verdict.suspected)
                };
                let next = |guarded: &Guarded, count: u32| {
                    let certain = count + 1 - suspected(guarded, count);
                    outcome.step(count + 1 >= *limit, certain >= *limit, count + 1)
                };
                let step = self.replace_count_or_open(&mut guarded, next);
                if let CountStep::Count(count) = step {
                    guarded.suspected = suspected(&guarded, count);
                }
                step
            }
            TripRule::Calls { rate, .. } => {
                let next = |guarded: &Guarded, good_run: u32| {
                    let tally = guarded.window.after(good_run, verdict).tally;
                    outcome.step(tally.counts.trip(rate), tally.pardoned().trip(rate), 0)
                };
                let step = self.replace_count_or_open(&mut guarded, next);
                if let CountStep::Count(good_run) = step {
                    guarded.window.push(good_run, verdict);
                }
                step
            }
            TripRule::Time { rate, window } => {
                let now = now();
                let mut tally = window.tally(generation, now);
                tally.add(verdict);
                let step = outcome.step(tally.counts.trip(rate), tally.pardoned().trip(rate), 0);
                match step {
                    CountStep::Count(_) => window.add(generation, now, verdict),
                    CountStep::Open => self.transition(&mut guarded, BreakerState::Open),
                    CountStep::Refuse => {}
                }
                step
            }
        };
        step != CountStep::Refuse
    }

    /// Counts a probe without a lease as late. Returns false if the probe still has its lease.
    #[cold]
    fn is_late_probe(&self, probe: ProbeId) -> bool {
        let late = !self.lock().half_open.holds(probe);
        if late {
            self.record_late();
        }
        late
    }

    #[cold]
    fn record_probe(&self, generation: u64, probe: ProbeId, bad: bool) {
        let mut guarded = self.lock();
        // A held lease belongs to this generation, since each generation begins without leases.
        if !guarded.half_open.release(probe) {
            return self.record_late();
        }
        debug_assert_eq!(self.load().generation(), generation);
        let (permits, successes) = (
            self.config.half_open_permits,
            self.config.half_open_successes,
        );
        match guarded.half_open.count(bad, successes, permits) {
            Decision::Undecided => {}
            Decision::Close => self.transition(&mut guarded, BreakerState::Closed),
            Decision::Open => self.transition(&mut guarded, BreakerState::Open),
        }
    }

    #[cold]
    fn record_late(&self) {
        self.late_outcomes.fetch_add(1, Ordering::Relaxed);
    }
}

impl Outcome {
    /// The step that this outcome of a bad call takes. `all` is whether the rule trips. `certain`
    /// is whether the rule trips without the suspected failures. `count` replaces the count.
    fn step(self, all: bool, certain: bool, count: u32) -> CountStep {
        match self {
            Self::Failure if all => CountStep::Open,
            // A slow success reports nothing that could be judged, so it never opens the breaker
            // through suspected failures.
            Self::Success | Self::TriedFailure if certain => CountStep::Open,
            Self::TriedFailure | Self::Suspected if all => CountStep::Refuse,
            _ => CountStep::Count(count),
        }
    }
}
