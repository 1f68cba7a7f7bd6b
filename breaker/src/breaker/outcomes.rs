//! The effects of call outcomes on the breaker.

use super::permit::Outcome;
use super::{Breaker, Guarded};
use crate::call_window::CallWindow;
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
    /// [ignored](Self::ignores_success_since) successes.
    #[inline(never)]
    pub(super) fn record(
        &self,
        packed: PackedState,
        probe: Option<ProbeId>,
        at: Option<Instant>,
        outcome: Outcome,
    ) {
        let failed = match outcome {
            Outcome::Success => false,
            Outcome::Failure => true,
            Outcome::Cancelled => {
                if let Some(probe) = probe {
                    self.lock().half_open.release(probe);
                }
                return;
            }
        };
        let slow = at.is_some_and(|at| self.is_slow(at));
        let verdict = Verdict { failed, slow };
        let generation = packed.generation();
        match (probe, verdict.is_bad()) {
            (Some(probe), bad) => self.record_probe(generation, probe, bad),
            (None, false) => self.record_good(generation, verdict),
            (None, true) => self.record_bad(generation, verdict),
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

    #[cold]
    fn record_bad(&self, generation: u64, verdict: Verdict) {
        if let TripRule::Failures { limit } = self.rule {
            let below_limit = |count| (count < limit - 1).then(|| count + 1);
            if self.replace_count(generation, below_limit).is_ok() {
                return;
            }
        }
        let mut guarded = self.lock();
        // While this thread holds the lock, other threads can change only the count, and only by
        // good calls.
        let packed = self.load();
        if packed.generation() != generation {
            return self.record_late();
        }
        if packed.state() != BreakerState::Closed {
            return;
        }
        match &self.rule {
            // Tries again to count this failure, since a success may have reset the count after the
            // attempt above.
            TripRule::Failures { limit } => {
                let below_limit = |_: &Guarded, count| (count < limit - 1).then(|| count + 1);
                self.replace_count_or_open(&mut guarded, below_limit);
            }
            TripRule::Calls { rate, .. } => {
                let trips = |window: &CallWindow, good_run| {
                    window.after(good_run, verdict).counts.trip(rate)
                };
                let next =
                    |guarded: &Guarded, good_run| (!trips(&guarded.window, good_run)).then_some(0);
                if let Some(good_run) = self.replace_count_or_open(&mut guarded, next) {
                    guarded.window.push(good_run, verdict);
                }
            }
            TripRule::Time { rate, window } => {
                let now = now();
                window.add(generation, now, verdict);
                if window.counts(generation, now).trip(rate) {
                    self.transition(&mut guarded, BreakerState::Open);
                }
            }
        }
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
