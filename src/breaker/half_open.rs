//! The calls that decide whether an open breaker closes.

use std::time::Duration;

use super::primitives::Instant;

/// The probes of a half-open breaker: those under way, each with a lease on its place, and what came of the others.
#[derive(Debug, Default)]
pub(super) struct HalfOpen {
    probes: Vec<Probe>,
    next_place: Place,
    succeeded: usize,
    failed: usize,
}

/// A place among the probes, never the same twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place(u64);

/// A call that hangs gives its place back when its lease ends.
#[derive(Debug)]
struct Probe {
    place: Place,
    until: Instant,
}

/// What follows from the end of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Close,
    Open,
    Undecided,
}

impl HalfOpen {
    /// A place for one more probe; none when `permits` are under way or have had an outcome.
    pub(super) fn admit(&mut self, permits: usize, now: Instant, lease: Duration) -> Option<Place> {
        self.probes.retain(|probe| now < probe.until);
        if self.probes.len() + self.succeeded + self.failed >= permits {
            return None;
        }
        let place = self.next_place;
        self.next_place = Place(place.0 + 1);
        self.probes.push(Probe {
            place,
            until: now + lease,
        });
        Some(place)
    }

    /// Takes a place back; false if it was another's already.
    pub(super) fn give_back(&mut self, place: Place) -> bool {
        let held = self.probes.iter().position(|probe| probe.place == place);
        if let Some(held) = held {
            self.probes.swap_remove(held);
        }
        held.is_some()
    }

    /// Counts what came of a probe whose place has been given back.
    pub(super) fn count(&mut self, failed: bool, successes: usize, permits: usize) -> Decision {
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

    pub(super) fn under_way(&self) -> usize {
        self.probes.len()
    }

    /// Forgets all but which places have been taken.
    pub(super) fn clear(&mut self) {
        self.probes.clear();
        (self.succeeded, self.failed) = (0, 0);
    }
}
