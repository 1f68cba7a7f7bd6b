//! The permit to make one call.

use super::Breaker;
use crate::half_open::ProbeId;
use crate::packed_state::PackedState;
use crate::primitives::{Instant, now};

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
    /// A failure that must not open the breaker through suspected failures.
    TriedFailure,
    /// A failure that may be the fault of the call itself.
    Suspected,
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

    /// Reports that the call failed, perhaps through a fault of its own: the call is *suspected*.
    ///
    /// # Errors
    ///
    /// The permit, with nothing counted, if the failure would open the breaker or decide a
    /// half-open one. The caller finds out whether the service works. If it does, the caller
    /// [pardons](Self::pardon) all suspected calls and [cancels](Self::cancel) this one. Otherwise,
    /// the caller reports a [failure](Self::failure).
    pub fn suspect(self) -> Result<(), Self> {
        self.try_record(Outcome::Suspected)
    }

    /// Reports that the call failed through a fault of the service.
    ///
    /// # Errors
    ///
    /// The permit, with nothing counted, if the failure would open the breaker only together with
    /// [suspected](Self::suspect) calls. The caller finds out whether the service works. If it
    /// does, the caller [pardons](Self::pardon) the suspected calls and tries again. Otherwise, the
    /// caller reports a [failure](Self::failure).
    pub fn try_failure(self) -> Result<(), Self> {
        self.try_record(Outcome::TriedFailure)
    }

    /// Forgets the failures of all [suspected](Self::suspect) calls so far: they were the calls'
    /// own fault. In a sliding window, they count as good calls.
    ///
    /// Has no effect if the breaker has changed its state since the admission of this call.
    pub fn pardon(&self) {
        self.breaker.pardon(self.admission.packed.generation());
    }

    /// Measures the duration of the call from now on, instead of from its admission. Call it before
    /// a call that has waited after its admission, so that the wait does not make it a slow call.
    pub fn restart(&mut self) {
        if let Some(at) = &mut self.admission.at {
            *at = now();
        }
    }

    /// Whether the breaker is half-open, and the outcome of this call counts towards its next
    /// state.
    pub fn is_probe(&self) -> bool {
        self.admission.probe.is_some()
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

    /// Records `outcome`. Returns the permit if the outcome was not recorded.
    fn try_record(self, outcome: Outcome) -> Result<(), Self> {
        let Admission { packed, probe, at } = self.admission;
        match self.breaker.record(packed, probe, at, outcome) {
            true => {
                std::mem::forget(self);
                Ok(())
            }
            false => Err(self),
        }
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
