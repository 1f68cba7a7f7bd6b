//! Changes of the packed state. The state changes only under the lock; the count also changes
//! without the lock.

use super::{Breaker, Guarded};
use crate::event::BreakerEvent;
use crate::packed_state::PackedState;
use crate::primitives::{Ordering, now};
use crate::state::BreakerState;

/// The consequence of a bad call for a closed breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CountStep {
    /// Replaces the count.
    Count(u32),
    /// Opens the breaker.
    Open,
    /// Changes nothing.
    Refuse,
}

impl Breaker {
    /// Begins a new generation in the state `to`.
    ///
    /// Only this method and [`replace_count_or_open`](Self::replace_count_or_open) change the
    /// state; both need the lock.
    pub(super) fn transition(&self, guarded: &mut Guarded, to: BreakerState) {
        let before = self.replace(|packed| packed.next_generation(to));
        self.enter(guarded, before, to);
    }

    /// Takes the step `next(count)` of a closed breaker atomically. Returns the step, with the old
    /// count in place of the new one.
    // In one step, a good call cannot come between the decision and the opening.
    pub(super) fn replace_count_or_open(
        &self,
        guarded: &mut Guarded,
        next: impl Fn(&Guarded, u32) -> CountStep,
    ) -> CountStep {
        let after = |packed: PackedState| match next(guarded, packed.count()) {
            CountStep::Count(count) => Some(packed.with_count(count)),
            CountStep::Open => Some(packed.next_generation(BreakerState::Open)),
            CountStep::Refuse => None,
        };
        let Ok(before) = self.update(after) else {
            return CountStep::Refuse;
        };
        if next(guarded, before.count()) != CountStep::Open {
            return CountStep::Count(before.count());
        }
        self.enter(guarded, before, BreakerState::Open);
        CountStep::Open
    }

    /// Replaces the count of a closed breaker by `next(count)`, and returns the old packed state.
    /// Changes nothing if `next` returns `None`, the generation is over, or the breaker is not
    /// closed. The error is then the packed state.
    #[inline]
    pub(super) fn replace_count(
        &self,
        generation: u64,
        next: impl Fn(u32) -> Option<u32>,
    ) -> Result<PackedState, PackedState> {
        self.update(|packed| {
            let counts =
                packed.generation() == generation && packed.state() == BreakerState::Closed;
            let count = next(packed.count()).filter(|_| counts)?;
            Some(packed.with_count(count))
        })
    }

    /// Applies the effects of a change of state.
    fn enter(&self, guarded: &mut Guarded, before: PackedState, to: BreakerState) {
        guarded.half_open.clear();
        guarded.window.clear();
        let mut open_for = None;
        match to {
            BreakerState::Closed => guarded.backoff.reset(),
            BreakerState::Open => {
                let delay = guarded.backoff.next_delay();
                guarded.open_until = now() + delay;
                open_for = Some(delay);
            }
            BreakerState::HalfOpen | BreakerState::ForcedOpen | BreakerState::Disabled => {}
        }
        let from = before.state();
        if from == to {
            return;
        }
        let event = BreakerEvent {
            from,
            to,
            generation: before.next_generation(to).generation(),
            open_for,
        };
        // An error means only that no subscriber exists.
        let _ = self.events.send(event);
        if let Some(hook) = &self.hook {
            hook(&event);
        }
    }

    /// Replaces the packed state by `next(packed)`, and returns the old packed state. Returns the
    /// unchanged packed state as an error if `next` returns `None`.
    #[inline]
    fn update(
        &self,
        next: impl Fn(PackedState) -> Option<PackedState>,
    ) -> Result<PackedState, PackedState> {
        let next = |bits| next(PackedState::from_bits(bits)).map(PackedState::bits);
        let before = self
            .packed
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        before
            .map(PackedState::from_bits)
            .map_err(PackedState::from_bits)
    }

    /// Replaces the packed state by `next(packed)`, and returns the old packed state.
    fn replace(&self, next: impl Fn(PackedState) -> PackedState) -> PackedState {
        self.update(|packed| Some(next(packed)))
            .unwrap_or_else(|packed| packed)
    }
}
