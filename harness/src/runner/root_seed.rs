//! Root seeds that nobody chose.

use clarity_chaos_record::Seed;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Draws a root seed from the operating system's randomness.
pub(crate) fn fresh() -> Seed {
    // Each `RandomState` starts from the system's random source; the empty hash is keyed by it.
    Seed::new(RandomState::new().build_hasher().finish())
}

/// Draws the first root seed of a sweep: short to read, and far from the end of the numbers.
pub(crate) fn fresh_for_a_sweep() -> Seed {
    Seed::new(fresh().get() >> 24)
}

/// The root seed of the run that nextest calls `id`: it starts a process per test, and all of them must draw from the same.
pub(crate) fn of_nextest_run(id: &str) -> Seed {
    Seed::new(0).child("nextest run", id)
}
