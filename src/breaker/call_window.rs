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

impl CallWindow {
    pub(super) fn new(size: u32) -> Self {
        Self {
            size,
            bad: VecDeque::new(),
            reach: 0,
            counts: BreakerCounts::default(),
        }
    }

    /// Takes in a bad call after `run` good ones, and gives what is in the window now.
    pub(super) fn push(&mut self, run: u32, verdict: Verdict) -> BreakerCounts {
        let distance = run + 1;
        self.counts.calls = self.calls(distance);
        self.counts.count(verdict);
        self.reach = match self.bad.is_empty() {
            true => 1,
            false => self.reach + distance,
        };
        self.bad.push_back(Bad { verdict, distance });
        while self.reach > self.size {
            let gone = self.bad.pop_front();
            let oldest = self.bad.front();
            self.reach -= oldest.map_or(self.reach, |oldest| oldest.distance);
            if let Some(gone) = gone {
                self.counts.uncount(gone.verdict);
            }
        }
        self.counts
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
