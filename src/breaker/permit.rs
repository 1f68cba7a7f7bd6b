//! The right to make one call.

use super::Breaker;

/// The right to make one call, held for as long as the call takes.
///
/// Told no outcome, a dropped permit is a cancelled call: its place is given back, and it is neither a failure nor a
/// success. Dropped by a panic it is a failure.
#[must_use = "a permit that is dropped at once is a cancelled call"]
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    generation: u64,
    place: Option<Place>,
    outcome: Outcome,
}

/// A place of a half-open breaker, never the same twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    Cancelled,
}

impl<'a> Permit<'a> {
    pub(super) fn new(breaker: &'a Breaker, generation: u64, place: Option<Place>) -> Self {
        Self {
            breaker,
            generation,
            place,
            outcome: Outcome::Cancelled,
        }
    }

    /// The call succeeded.
    pub(crate) fn success(mut self) {
        self.outcome = Outcome::Success;
    }

    /// The call failed, and it was the model's fault.
    pub(crate) fn failure(mut self) {
        self.outcome = Outcome::Failure;
    }

    /// The call was given up for a reason that says nothing about the model.
    pub(crate) fn cancel(self) {}
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let panicking = self.outcome == Outcome::Cancelled && std::thread::panicking();
        let outcome = if panicking {
            Outcome::Failure
        } else {
            self.outcome
        };
        self.breaker.settle(self.generation, self.place, outcome);
    }
}

impl Place {
    /// This place; the next one remains.
    pub(super) fn take(&mut self) -> Self {
        let place = *self;
        self.0 += 1;
        place
    }
}
