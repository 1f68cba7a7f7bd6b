//! The permit to make one call.

use super::Breaker;
use crate::half_open::ProbeId;
use crate::packed_state::PackedState;
use crate::primitives::Instant;

/// A permit to make one call, held for the duration of the call.
///
/// Report the outcome to the permit. A permit dropped without an outcome counts as cancelled: its
/// probe becomes free, and nothing is counted. A permit dropped by a panic of its call counts as
/// failed.
#[must_use = "a dropped permit is a cancelled call"]
#[derive(Debug)]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    admission: Admission,
    /// Whether the thread was already panicking at the admission. A destructor can make a call
    /// during a panic.
    panicking: bool,
}

/// The breaker's state at the admission of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission {
    pub(super) packed: PackedState,
    /// The number of the probe; `None` if the call is not a probe.
    pub(super) probe: Option<ProbeId>,
    /// The time of the admission; `None` if the breaker has no limit of slow calls.
    pub(super) at: Option<Instant>,
}

/// The outcome of a call.
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

    /// Reports that the call succeeded.
    #[inline]
    pub fn success(self) {
        match self.breaker.ignores_success_since(self.admission.packed) {
            // Nothing to record, and no probe to free.
            true => std::mem::forget(self),
            false => self.record(Outcome::Success),
        }
    }

    /// Reports that the call failed through a fault of the service.
    #[inline]
    pub fn failure(self) {
        self.record(Outcome::Failure);
    }

    /// Reports that the call was abandoned for a reason that says nothing about the service.
    #[inline]
    pub fn cancel(self) {
        self.record(Outcome::Cancelled);
    }

    #[inline]
    fn record(self, outcome: Outcome) {
        let (breaker, Admission { packed, probe, at }) = (self.breaker, self.admission);
        std::mem::forget(self);
        breaker.record(packed, probe, at, outcome);
    }
}

/// Records a failure if the call panicked; otherwise, a cancelled call.
impl Drop for Permit<'_> {
    // A permit whose address is never taken stays in registers. Storing and reloading it would cost
    // as much as several calls. So this function is inlined and passes each field separately.
    #[inline]
    fn drop(&mut self) {
        let outcome = match !self.panicking && std::thread::panicking() {
            true => Outcome::Failure,
            false => Outcome::Cancelled,
        };
        let Admission { packed, probe, at } = self.admission;
        self.breaker.record(packed, probe, at, outcome);
    }
}
