//! The probes of a half-open breaker.

use std::time::Duration;

use super::primitives::Instant;

/// The probes of a half-open breaker: leases of the running ones, counts of the ended ones.
#[derive(Debug, Default)]
pub(crate) struct HalfOpen {
    leases: Vec<ProbeLease>,
    next_id: ProbeId,
    succeeded: usize,
    failed: usize,
}

/// The number of a probe, unique within one breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProbeId(u64);

/// A probe under way. Once its lease has expired, another call can replace the probe.
#[derive(Debug)]
struct ProbeLease {
    id: ProbeId,
    expires: Instant,
}

/// The consequence of a probe's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Close,
    Open,
    Undecided,
}

impl HalfOpen {
    /// Admits one more probe. Returns `None` if `permits` probes are under way or have ended.
    pub(crate) fn admit(
        &mut self,
        permits: usize,
        now: Instant,
        lease: Duration,
    ) -> Option<ProbeId> {
        self.leases.retain(|lease| now < lease.expires);
        if self.leases.len() + self.succeeded + self.failed >= permits {
            return None;
        }
        let id = self.next_id;
        self.next_id = ProbeId(id.0 + 1);
        self.leases.push(ProbeLease {
            id,
            expires: now + lease,
        });
        Some(id)
    }

    /// Ends the lease of a probe. Returns false if the probe has no lease any more.
    pub(crate) fn release(&mut self, id: ProbeId) -> bool {
        let held = self.leases.iter().position(|lease| lease.id == id);
        if let Some(held) = held {
            self.leases.swap_remove(held);
        }
        held.is_some()
    }

    /// Counts the outcome of a probe that was [released](Self::release).
    pub(crate) fn count(&mut self, failed: bool, successes: usize, permits: usize) -> Decision {
        self.failed += usize::from(failed);
        self.succeeded += usize::from(!failed);
        if self.succeeded >= successes {
            Decision::Close
        } else if self.failed > permits - successes {
            Decision::Open
        } else {
            Decision::Undecided
        }
    }

    /// Whether a probe still has its lease.
    pub(crate) fn holds(&self, id: ProbeId) -> bool {
        self.leases.iter().any(|lease| lease.id == id)
    }

    pub(crate) fn under_way(&self) -> usize {
        self.leases.len()
    }

    /// Forgets all probes. New probes do not reuse their numbers.
    pub(crate) fn clear(&mut self) {
        self.leases.clear();
        (self.succeeded, self.failed) = (0, 0);
    }
}
