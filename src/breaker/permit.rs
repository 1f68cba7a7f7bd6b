//! The right to make one call.

use super::circuit::Breaker;
use super::half_open::Place;
use super::primitives::Instant;

/// The right to make one call, held for as long as the call takes.
///
/// Told no outcome, a dropped permit is a cancelled call: its place is given back, and it is neither a failure nor a
/// success. Dropped by a panic it is a failure.
#[must_use = "a permit that is dropped at once is a cancelled call"]
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    admission: Admission,
    outcome: Outcome,
    /// Whether the thread was panicking before, as it is when a destructor makes a call.
    panicking: bool,
}

/// How a call was admitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission {
    pub(super) generation: u64,
    /// Its place, if it is a probe.
    pub(super) place: Option<Place>,
    /// When, if that makes a difference.
    pub(super) at: Option<Instant>,
}

/// How a call ended, as far as it told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    Cancelled,
}

impl<'a> Permit<'a> {
    pub(super) fn new(breaker: &'a Breaker, admission: Admission) -> Self {
        Self {
            breaker,
            admission,
            outcome: Outcome::Cancelled,
            panicking: std::thread::panicking(),
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
        let panicked = || !self.panicking && std::thread::panicking();
        if self.outcome == Outcome::Cancelled && panicked() {
            self.outcome = Outcome::Failure;
        }
        self.breaker.settle(self.admission, self.outcome);
    }
}
