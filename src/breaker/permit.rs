//! The right to make one call.

use super::circuit::Breaker;
use super::half_open::Place;
use super::primitives::Instant;
use super::word::Word;

/// The right to make one call, held for as long as the call takes.
///
/// Told no outcome, a dropped permit is a cancelled call: its place is given back, and it is neither a failure nor a
/// success. Dropped by a panic it is a failure.
#[must_use = "a permit that is dropped at once is a cancelled call"]
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    admission: Admission,
    /// Whether the thread was panicking before, as it is when a destructor makes a call.
    panicking: bool,
}

/// How a call was admitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission {
    /// How the breaker was.
    pub(super) word: Word,
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
    #[inline]
    pub(super) fn new(breaker: &'a Breaker, admission: Admission) -> Self {
        Self {
            breaker,
            admission,
            panicking: std::thread::panicking(),
        }
    }

    /// The call succeeded.
    #[inline]
    pub(crate) fn success(self) {
        match self.breaker.is_quiet_since(self.admission.word) {
            // Settled, it has nothing to give back.
            true => std::mem::forget(self),
            false => self.settle(Outcome::Success),
        }
    }

    /// The call failed, and it was the model's fault.
    #[inline]
    pub(crate) fn failure(self) {
        self.settle(Outcome::Failure);
    }

    /// The call was given up for a reason that says nothing about the model.
    pub(crate) fn cancel(self) {
        self.settle(Outcome::Cancelled);
    }

    #[inline]
    fn settle(self, outcome: Outcome) {
        let (breaker, Admission { word, place, at }) = (self.breaker, self.admission);
        std::mem::forget(self);
        breaker.settle(word, place, at, outcome);
    }
}

/// Nobody told how the call ended.
impl Drop for Permit<'_> {
    // A permit whose address is never taken need not be in memory, and from there it would be read back no sooner than
    // several calls take. Hence this is no function of its own, and what follows takes its parts one by one.
    #[inline]
    fn drop(&mut self) {
        let outcome = match !self.panicking && std::thread::panicking() {
            true => Outcome::Failure,
            false => Outcome::Cancelled,
        };
        let Admission { word, place, at } = self.admission;
        self.breaker.settle(word, place, at, outcome);
    }
}
