//! A sliding window of calls.

use std::collections::VecDeque;

use super::counts::BreakerCounts;
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
    /// The bad calls in the window, from the oldest to the newest.
    bad: VecDeque<BadCall>,
    /// The age of the oldest bad call, in calls; the newest bad call has the age 1.
    oldest_age: u32,
    /// The window's counts just after the last bad call.
    counts: BreakerCounts,
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
    pub(crate) counts: BreakerCounts,
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
            counts: BreakerCounts::default(),
        }
    }

    /// The window after `good_run` good calls and then a bad one.
    pub(crate) fn after(&self, good_run: u32, verdict: Verdict) -> NextWindow {
        let distance = good_run + 1;
        let mut next = NextWindow {
            counts: BreakerCounts {
                calls: self.calls_after(distance),
                ..self.counts
            },
            oldest_age: match self.bad.is_empty() {
                true => 1,
                false => self.oldest_age + distance,
            },
            expired: 0,
        };
        let next_distances = self.bad.iter().skip(1).map(|bad| bad.distance);
        for (bad, to_next) in self.bad.iter().zip(next_distances.chain([distance])) {
            if next.oldest_age <= self.size {
                break;
            }
            next.oldest_age -= to_next;
            next.counts.unmark_bad(bad.verdict);
            next.expired += 1;
        }
        next.counts.mark_bad(verdict);
        next
    }

    /// Adds `good_run` good calls and then a bad one.
    pub(crate) fn push(&mut self, good_run: u32, verdict: Verdict) {
        let NextWindow {
            counts,
            oldest_age,
            expired,
        } = self.after(good_run, verdict);
        self.bad.drain(..expired);
        let distance = good_run + 1;
        self.bad.push_back(BadCall { verdict, distance });
        (self.counts, self.oldest_age) = (counts, oldest_age);
    }

    /// The counts after `good_run` good calls since the last bad one.
    pub(crate) fn counts(&self, good_run: u32) -> BreakerCounts {
        let mut counts = BreakerCounts {
            calls: self.calls_after(good_run),
            ..BreakerCounts::default()
        };
        let mut age = good_run + 1;
        for bad in self.bad.iter().rev() {
            if age > self.size {
                break;
            }
            counts.mark_bad(bad.verdict);
            age += bad.distance;
        }
        counts
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
        (self.counts.calls + u64::from(more)).min(self.size.into())
    }
}
