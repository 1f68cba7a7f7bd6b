//! The calls of the last so much time.

use std::sync::PoisonError;
use std::time::Duration;

use super::primitives::{Instant, Mutex, MutexGuard, parallelism, thread_number};
use super::snapshot::BreakerCounts;
use super::verdict::Verdict;

/// The calls whose outcome came within a time, which slides on in tenths.
///
/// They are counted in stripes, so that threads that count at once seldom meet: each thread has its stripe, with a lock
/// that is its own most of the time. Only a call that speaks against the model, and a snapshot, look at all of them.
#[derive(Debug)]
pub(super) struct TimeWindow {
    start: Instant,
    /// In nanoseconds.
    tenth: u64,
    stripes: Box<[Stripe]>,
}

/// So many buckets follow each other, the newest of which is still being filled.
const BUCKETS: usize = 10;

/// Alone on its cache lines. Two lines of 64 bytes, since processors fetch them in pairs:
/// <https://docs.rs/crossbeam-utils/latest/crossbeam_utils/struct.CachePadded.html>.
#[derive(Debug)]
#[repr(align(128))]
struct Stripe(Mutex<Buckets>);

/// What has been counted in one generation of the breaker.
#[derive(Debug, Default)]
struct Buckets {
    generation: u64,
    /// The bucket of a tenth is at its number modulo their count.
    buckets: [Bucket; BUCKETS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    tenth: u64,
    counts: BreakerCounts,
}

impl TimeWindow {
    pub(super) fn new(time: Duration, start: Instant) -> Self {
        let stripe = |_| Stripe(Mutex::new(Buckets::default()));
        Self {
            start,
            tenth: nanoseconds(time) / BUCKETS as u64,
            stripes: (0..parallelism()).map(stripe).collect(),
        }
    }

    /// Counts a call that was admitted in `generation` and ended `now`.
    pub(super) fn add(&self, generation: u64, now: Instant, verdict: Verdict) {
        let tenth = self.tenth_of(now);
        let mut buckets = self.stripes[thread_number() % self.stripes.len()].lock();
        if buckets.generation < generation {
            *buckets = Buckets {
                generation,
                ..Buckets::default()
            };
        }
        let current = buckets.generation == generation;
        let bucket = &mut buckets.buckets[tenth as usize % BUCKETS];
        if bucket.tenth < tenth {
            *bucket = Bucket {
                tenth,
                ..Bucket::default()
            };
        }
        // The stripe is ahead of a thread that was held up on its way here.
        if current && bucket.tenth == tenth {
            bucket.counts.add(verdict);
        }
    }

    /// What has been counted in `generation` and is in the window `now`. A call that is being counted meanwhile may be
    /// in it or not.
    pub(super) fn counts(&self, generation: u64, now: Instant) -> BreakerCounts {
        let tenth = self.tenth_of(now);
        let mut counts = BreakerCounts::default();
        for stripe in &self.stripes {
            let buckets = stripe.lock();
            let current = buckets.buckets.iter().filter(|bucket| {
                buckets.generation == generation && bucket.tenth + BUCKETS as u64 > tenth
            });
            current.for_each(|bucket| counts += bucket.counts);
        }
        counts
    }

    fn tenth_of(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start);
        nanoseconds(elapsed) / self.tenth
    }
}

/// Enough for five centuries, and divided sooner than 128 bits.
fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos() as u64
}

impl Stripe {
    fn lock(&self) -> MutexGuard<'_, Buckets> {
        // Nothing under the lock can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
