//! A memory budget for all concurrent requests.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Reason;
use crate::predictor::{Failure, OVERLOAD_RETRY};

/// The granularity of reservations, in bytes.
// One permit stands for this number of bytes. One permit per byte would not suffice: a semaphore
// grants at most `u32::MAX` permits at once, and a body can be longer.
const UNIT: usize = 1024;

/// The memory limit for the bodies, tensors and responses of all concurrent requests together.
// A reservation never waits. Otherwise, two requests with reservations could wait for each other
// forever.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    total: usize,
}

/// A reserved part of a `Budget`, returned to the budget on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    permit: OwnedSemaphorePermit,
    budget: Budget,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).min(Semaphore::MAX_PERMITS);
        Self {
            units: Arc::new(Semaphore::new(units)),
            total: bytes,
        }
    }

    /// Reserves `bytes` bytes, rounded up to whole units. An error contains `purpose`.
    ///
    /// Refuses more than the whole budget with `PayloadTooLarge`. Refuses more than the free part
    /// with `Overloaded` and a retry delay.
    pub(crate) fn reserve(&self, bytes: usize, purpose: &str) -> Result<Reservation, Failure> {
        self.refuse_excess(bytes, purpose)?;
        let units = bytes.div_ceil(UNIT);
        let permit = u32::try_from(units)
            .ok()
            .and_then(|units| Arc::clone(&self.units).try_acquire_many_owned(units).ok())
            .ok_or_else(|| Failure {
                retry_after: Some(OVERLOAD_RETRY),
                ..Failure::new(
                    Reason::Overloaded,
                    format!("memory limit reached: no {bytes} bytes left for {purpose}"),
                )
            })?;
        Ok(Reservation {
            permit,
            budget: self.clone(),
        })
    }

    /// Refuses more than the whole budget.
    fn refuse_excess(&self, bytes: usize, purpose: &str) -> Result<(), Failure> {
        if bytes.div_ceil(UNIT) <= self.total / UNIT {
            return Ok(());
        }
        Err(Failure::new(
            Reason::PayloadTooLarge,
            format!(
                "{purpose} needs {bytes} bytes, more than the memory limit of {} for all requests",
                self.total
            ),
        ))
    }
}

impl Reservation {
    /// Grows the reservation to at least `bytes` bytes. Fails like [`Budget::reserve`].
    pub(crate) fn grow_to(&mut self, bytes: usize, purpose: &str) -> Result<(), Failure> {
        self.budget.refuse_excess(bytes, purpose)?;
        let more = bytes.saturating_sub(self.permit.num_permits() * UNIT);
        if more > 0 {
            self.permit
                .merge(self.budget.reserve(more, purpose)?.permit);
        }
        Ok(())
    }

    /// Shrinks the reservation to `bytes` bytes, rounded up to whole units. Never grows the
    /// reservation.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let units = bytes.div_ceil(UNIT);
        drop(
            self.permit
                .split(self.permit.num_permits().saturating_sub(units)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(refused: Result<Reservation, Failure>) -> Reason {
        refused.unwrap_err().reason
    }

    #[test]
    fn budget_is_restored_when_a_reservation_drops() {
        let budget = Budget::new(4 * UNIT);
        let three = budget.reserve(2 * UNIT + 1, "a body").unwrap();
        assert_eq!(
            reason(budget.reserve(2 * UNIT, "a body")),
            Reason::Overloaded
        );
        let one = budget.reserve(1, "a body").unwrap();
        assert_eq!(reason(budget.reserve(1, "a body")), Reason::Overloaded);
        drop((three, one));
        drop(budget.reserve(4 * UNIT, "a body").unwrap());
    }

    #[test]
    fn budget_larger_request_gets_no_retry_after() {
        let refused = Budget::new(4 * UNIT)
            .reserve(4 * UNIT + 1, "a body")
            .unwrap_err();
        assert_eq!(refused.reason, Reason::PayloadTooLarge);
        assert_eq!(refused.retry_after, None);
    }

    #[test]
    fn reservation_grows_and_shrinks_by_the_difference() {
        let budget = Budget::new(4 * UNIT);
        let mut room = budget.reserve(0, "a body").unwrap();
        room.grow_to(3 * UNIT, "a body").unwrap();
        room.grow_to(2 * UNIT, "a body").unwrap();
        assert_eq!(
            reason(budget.reserve(2 * UNIT, "a body")),
            Reason::Overloaded
        );
        room.shrink_to(UNIT);
        drop(budget.reserve(3 * UNIT, "a body").unwrap());
        assert_eq!(
            room.grow_to(5 * UNIT, "a body").unwrap_err().reason,
            Reason::PayloadTooLarge,
            "waiting cannot help"
        );
    }
}
