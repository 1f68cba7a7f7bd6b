//! The seeds of a sweep, and the order in which threads take its cases.

use crate::runner::cli::seeds::SeedsChoice;
use clarity_chaos_record::{Seed, SeedRange};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The seeds of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SweepExtent {
    /// All seeds of this range.
    Seeds(SeedRange),
    /// As many seeds from `first` on as begin within `limit`, and at least one.
    Within { first: Seed, limit: Duration },
}

impl SweepExtent {
    /// Returns the extent of a sweep that starts at `first`. A range of seeds has its own start.
    pub(crate) fn new(first: Seed, seeds: SeedsChoice) -> Self {
        match seeds {
            SeedsChoice::Count(count) => Self::Seeds(SeedRange::new(first, count)),
            SeedsChoice::Range(range) => Self::Seeds(range),
            SeedsChoice::Within(limit) => Self::Within { first, limit },
        }
    }

    /// Returns the seeds that the sweep can reach.
    pub(crate) fn reachable(self) -> SeedRange {
        match self {
            Self::Seeds(seeds) => seeds,
            Self::Within { first, .. } => SeedRange::new(first, u64::MAX),
        }
    }

    /// Returns the seeds of a sweep that has begun `count` seeds.
    pub(crate) fn reached(self, count: u64) -> SeedRange {
        match self {
            Self::Seeds(seeds) => seeds,
            Self::Within { first, .. } => SeedRange::new(first, count),
        }
    }

    /// Returns the time within which seeds begin; `None` without such a limit.
    pub(crate) fn limit(self) -> Option<Duration> {
        match self {
            Self::Seeds(_) => None,
            Self::Within { limit, .. } => Some(limit),
        }
    }
}

impl fmt::Display for SweepExtent {
    /// Writes the seeds, and the options that repeat the sweep.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seeds(seeds) => write!(f, "seeds {seeds} (again: --seeds {seeds})"),
            Self::Within { first, limit } => {
                let limit = humantime::format_duration(*limit).to_string();
                // A duration of several words is one word for the shell.
                let word = limit.replace(' ', "");
                write!(
                    f,
                    "seeds from {first} on, for {limit} (again: --seed {first} --stress {word})"
                )
            }
        }
    }
}

/// Hands out the numbers of a sweep's cases, counted from 0: first the known failing cases, then
/// all tests with one seed after another.
#[derive(Debug)]
pub(crate) struct CaseQueue {
    known: u64,
    tests: u64,
    deadline: Option<Instant>,
    numbers: Mutex<Numbers>,
}

#[derive(Debug)]
struct Numbers {
    next: u64,
    end: u64,
}

impl CaseQueue {
    /// Creates the queue of `known` known cases, and of `tests` tests with each seed of `extent`.
    pub(crate) fn new(known: u64, tests: u64, extent: SweepExtent) -> Self {
        let cases = extent.reachable().count().saturating_mul(tests);
        // A limit that no clock can hold is no limit.
        let limit = extent.limit();
        Self {
            known,
            tests,
            deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
            numbers: Mutex::new(Numbers {
                next: 0,
                end: known.saturating_add(cases),
            }),
        }
    }

    /// Returns the number of all cases, as far as it is known.
    pub(crate) fn end(&self) -> u64 {
        self.numbers().end
    }

    /// Returns the number of the next case; `None` if no case is left. No seed begins after the
    /// deadline. A seed that has begun is handed out with all tests.
    pub(crate) fn take(&self) -> Option<u64> {
        let mut numbers = self.numbers();
        let begins_seed = numbers.next.checked_sub(self.known).is_some_and(|offset| {
            // The first seed begins in any case.
            offset > 0 && offset % self.tests.max(1) == 0
        });
        let is_late = || {
            self.deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
        };
        if begins_seed && is_late() {
            numbers.end = numbers.end.min(numbers.next);
        }
        let number = numbers.next;
        if number >= numbers.end {
            return None;
        }
        numbers.next += 1;
        Some(number)
    }

    /// Returns the number of seeds that have begun.
    pub(crate) fn seeds(&self) -> u64 {
        let taken = self.numbers().next.saturating_sub(self.known);
        taken.div_ceil(self.tests.max(1))
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(limit: Duration) -> SweepExtent {
        let first = Seed::new(5);
        SweepExtent::Within { first, limit }
    }

    #[test]
    fn queue_past_its_deadline_finishes_the_first_seed() {
        let queue = CaseQueue::new(2, 3, within(Duration::ZERO));
        let taken: Vec<u64> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(taken, [0, 1, 2, 3, 4]);
        assert_eq!(queue.seeds(), 1);
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn queue_before_its_deadline_begins_seeds() {
        let queue = CaseQueue::new(0, 2, within(Duration::MAX));
        let taken: Vec<u64> = std::iter::from_fn(|| queue.take()).take(5).collect();
        assert_eq!(taken, [0, 1, 2, 3, 4]);
        assert_eq!(queue.seeds(), 3);
        let reached = within(Duration::MAX).reached(queue.seeds());
        assert_eq!(reached.to_string(), "5..8");
    }

    #[test]
    fn queue_of_a_range_ends_with_its_last_seed() {
        let seeds = SweepExtent::Seeds(SeedRange::new(Seed::new(0), 2));
        let queue = CaseQueue::new(1, 2, seeds);
        assert_eq!(std::iter::from_fn(|| queue.take()).count(), 5);
        assert_eq!(queue.seeds(), 2);
        assert_eq!(CaseQueue::new(0, 0, seeds).take(), None);
    }
}
