//! The last so many calls.

use std::collections::VecDeque;

use super::snapshot::BreakerCounts;
use super::verdict::Verdict;

/// The last `size` calls, as the bad ones among them and the lengths of the runs of good ones between.
///
/// The run since the last bad call is not in here but in the breaker's word, where a good call lengthens it without a
/// lock. It stops at `size`: by then no bad call is left in the window, another good one makes no difference, and none
/// is written.
#[derive(Debug)]
pub(super) struct CallWindow {
    size: u32,
    /// From the oldest to the newest.
    bad: VecDeque<Bad>,
    /// The age of the oldest bad call; the newest has the age 1.
    reach: u32,
    /// The calls in it as of the last bad one.
    counts: BreakerCounts,
}

#[derive(Debug)]
struct Bad {
    verdict: Verdict,
    /// How many calls younger than the bad one before.
    distance: u32,
}

/// How a window would be with one more bad call.
#[derive(Debug)]
pub(super) struct After {
    pub(super) counts: BreakerCounts,
    reach: u32,
    /// So many of the oldest bad calls would have left it.
    gone: usize,
}

impl CallWindow {
    pub(super) fn new(size: u32) -> Self {
        Self {
            size,
            bad: VecDeque::new(),
            reach: 0,
            counts: BreakerCounts::default(),
        }
    }

    /// How it would be with a bad call after `run` good ones.
    pub(super) fn after(&self, run: u32, verdict: Verdict) -> After {
        let distance = run + 1;
        let mut after = After {
            counts: BreakerCounts {
                calls: self.calls(distance),
                ..self.counts
            },
            reach: match self.bad.is_empty() {
                true => 1,
                false => self.reach + distance,
            },
            gone: 0,
        };
        let next_distances = self.bad.iter().skip(1).map(|bad| bad.distance);
        for (bad, to_next) in self.bad.iter().zip(next_distances.chain([distance])) {
            if after.reach <= self.size {
                break;
            }
            after.reach -= to_next;
            after.counts.uncount(bad.verdict);
            after.gone += 1;
        }
        after.counts.count(verdict);
        after
    }

    /// Takes in a bad call after `run` good ones.
    pub(super) fn push(&mut self, run: u32, verdict: Verdict) {
        let After {
            counts,
            reach,
            gone,
        } = self.after(run, verdict);
        self.bad.drain(..gone);
        let distance = run + 1;
        self.bad.push_back(Bad { verdict, distance });
        (self.counts, self.reach) = (counts, reach);
    }

    /// What is in the window after `run` good calls since the last bad one.
    pub(super) fn counts(&self, run: u32) -> BreakerCounts {
        let mut counts = BreakerCounts {
            calls: self.calls(run),
            ..BreakerCounts::default()
        };
        let mut age = run + 1;
        for bad in self.bad.iter().rev() {
            if age > self.size {
                break;
            }
            counts.count(bad.verdict);
            age += bad.distance;
        }
        counts
    }

    pub(super) fn clear(&mut self) {
        *self = Self {
            // Its memory is kept: a breaker that opened once opens again.
            bad: std::mem::take(&mut self.bad),
            ..Self::new(self.size)
        };
        self.bad.clear();
    }

    fn calls(&self, more: u32) -> u64 {
        (self.counts.calls + u64::from(more)).min(self.size.into())
    }
}
