//! A sliding window of calls.

use std::collections::VecDeque;

use super::counts::{BreakerCounts, Tally};
use super::verdict::Verdict;

/// The last `size` calls, stored as the bad calls and the distances between them.
///
/// The [`PackedState`] counts the good calls since the last bad one, without a lock. That count
/// stops at `size`: then the window holds no bad call, and further good calls change nothing.
///
/// [`PackedState`]: super::packed_state::PackedState
#[derive(Debug)]
pub(crate) struct CallWindow {
    size: u32,
    /// The bad calls in the window, from the oldest to the newest, with those pardoned since.
    bad: VecDeque<BadCall>,
    /// The age of the oldest bad call, in calls; the newest bad call has the age 1.
    oldest_age: u32,
    /// The window's counts just after the last bad call.
    tally: Tally,
}

#[derive(Debug)]
struct BadCall {
    verdict: Verdict,
    /// The number of calls from the previous bad call to this one, including this one.
    distance: u32,
}

/// The changes that one more bad call makes to a window.
#[derive(Debug)]
pub(crate) struct NextWindow {
    pub(crate) tally: Tally,
    oldest_age: u32,
    /// The number of bad calls, the oldest first, that leave the window.
    expired: usize,
}

impl CallWindow {
    pub(crate) fn new(size: u32) -> Self {
        Self {
            size,
            bad: VecDeque::new(),
            oldest_age: 0,
            tally: Tally::default(),
        }
    }

    /// The window after `good_run` good calls and then a bad one.
    pub(crate) fn after(&self, good_run: u32, verdict: Verdict) -> NextWindow {
        let distance = good_run + 1;
        let mut next = NextWindow {
            tally: self.tally,
            oldest_age: match self.bad.is_empty() {
                true => 1,
                false => self.oldest_age + distance,
            },
            expired: 0,
        };
        next.tally.counts.calls = self.calls_after(distance);
        let next_distances = self.bad.iter().skip(1).map(|bad| bad.distance);
        for (bad, to_next) in self.bad.iter().zip(next_distances.chain([distance])) {
            if next.oldest_age <= self.size {
                break;
            }
            next.oldest_age -= to_next;
            next.tally.unmark_bad(bad.verdict);
            next.expired += 1;
        }
        next.tally.mark_bad(verdict);
        next
    }

    /// Adds `good_run` good calls and then a bad one.
    pub(crate) fn push(&mut self, good_run: u32, verdict: Verdict) {
        let NextWindow {
            tally,
            oldest_age,
            expired,
        } = self.after(good_run, verdict);
        self.bad.drain(..expired);
        let distance = good_run + 1;
        self.bad.push_back(BadCall { verdict, distance });
        (self.tally, self.oldest_age) = (tally, oldest_age);
    }

    /// The counts after `good_run` good calls since the last bad one.
    pub(crate) fn counts(&self, good_run: u32) -> BreakerCounts {
        let mut tally = Tally::default();
        tally.counts.calls = self.calls_after(good_run);
        let mut age = good_run + 1;
        for bad in self.bad.iter().rev() {
            if age > self.size {
                break;
            }
            tally.mark_bad(bad.verdict);
            age += bad.distance;
        }
        tally.counts
    }

    /// Turns each suspected call into a good one. The call keeps its place in the window.
    pub(crate) fn pardon(&mut self) {
        let suspects = self.bad.iter_mut().map(|bad| &mut bad.verdict);
        suspects
            .filter(|verdict| verdict.suspected)
            .for_each(|verdict| *verdict = Verdict::GOOD);
        self.tally.pardon();
    }

    pub(crate) fn clear(&mut self) {
        *self = Self {
            // Keeps the allocation: a breaker that opened once is likely to open again.
            bad: std::mem::take(&mut self.bad),
            ..Self::new(self.size)
        };
        self.bad.clear();
    }

    fn calls_after(&self, more: u32) -> u64 {
        (self.tally.counts.calls + u64::from(more)).min(self.size.into())
    }
}
