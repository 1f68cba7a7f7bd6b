//! A sliding window of time.

use std::sync::PoisonError;
use std::time::Duration;

use super::counts::Tally;
use super::primitives::{Instant, Mutex, MutexGuard, parallelism, thread_number};
use super::verdict::Verdict;

/// Counts of the calls that ended within the window, which slides in tenths.
///
/// Each thread locks only its own stripe of counts, so threads seldom contend. Only a bad call and
/// a snapshot lock all stripes, one after the other.
#[derive(Debug)]
pub(crate) struct TimeWindow {
    start: Instant,
    /// The duration of a bucket, one tenth of the window, in nanoseconds.
    tenth: u64,
    stripes: Box<[Stripe]>,
}

/// The number of buckets. The newest bucket is still being filled.
const BUCKETS: usize = 10;

/// A stripe on its own pair of 64-byte cache lines, since processors fetch lines in pairs:
/// <https://docs.rs/crossbeam-utils/latest/crossbeam_utils/struct.CachePadded.html>.
#[derive(Debug)]
#[repr(align(128))]
struct Stripe(Mutex<Buckets>);

/// The buckets of one stripe, all of one generation.
#[derive(Debug, Default)]
struct Buckets {
    generation: u64,
    /// The buckets of the last tenths: tenth `n` is at index `n % BUCKETS`.
    buckets: [Bucket; BUCKETS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    tenth: u64,
    tally: Tally,
}

impl TimeWindow {
    pub(crate) fn new(time: Duration, start: Instant) -> Self {
        let stripe = |_| Stripe(Mutex::new(Buckets::default()));
        Self {
            start,
            tenth: nanoseconds(time) / BUCKETS as u64,
            stripes: (0..parallelism()).map(stripe).collect(),
        }
    }

    /// Counts a call that was admitted in `generation` and ended at `now`.
    pub(crate) fn add(&self, generation: u64, now: Instant, verdict: Verdict) {
        let tenth = self.tenth_of(now);
        let mut buckets = self.stripes[thread_number() % self.stripes.len()].lock();
        if buckets.generation < generation {
            *buckets = Buckets {
                generation,
                ..Buckets::default()
            };
        }
        let is_current = buckets.generation == generation;
        let bucket = &mut buckets.buckets[tenth as usize % BUCKETS];
        if bucket.tenth < tenth {
            *bucket = Bucket {
                tenth,
                ..Bucket::default()
            };
        }
        // While this thread was preempted before the lock, another thread may have reused the
        // bucket for a later tenth.
        if is_current && bucket.tenth == tenth {
            bucket.tally.add(verdict);
        }
    }

    /// The calls of `generation` in the window that ends at `now`. The counts might not include a
    /// concurrent [`add`](Self::add).
    pub(crate) fn tally(&self, generation: u64, now: Instant) -> Tally {
        let tenth = self.tenth_of(now);
        let mut tally = Tally::default();
        for stripe in &self.stripes {
            let buckets = stripe.lock();
            let current = buckets.buckets.iter().filter(|bucket| {
                buckets.generation == generation && bucket.tenth + BUCKETS as u64 > tenth
            });
            current.for_each(|bucket| tally += bucket.tally);
        }
        tally
    }

    /// Turns each suspected call of `generation` into a good one.
    pub(crate) fn pardon(&self, generation: u64) {
        for stripe in &self.stripes {
            let mut buckets = stripe.lock();
            if buckets.generation == generation {
                let buckets = buckets.buckets.iter_mut();
                buckets.for_each(|bucket| bucket.tally.pardon());
            }
        }
    }

    fn tenth_of(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start);
        nanoseconds(elapsed) / self.tenth
    }
}

/// The time in nanoseconds.
// 64 bits hold five centuries, and dividing 64 bits is faster than dividing 128 bits.
fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos() as u64
}

impl Stripe {
    fn lock(&self) -> MutexGuard<'_, Buckets> {
        // No code under the lock can panic, so the counts are consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
