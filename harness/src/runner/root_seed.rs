//! Chooses the root seed of a run without `--seed`.

use clarity_chaos_record::Seed;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Draws a root seed from the operating system's randomness.
pub(crate) fn fresh() -> Seed {
    // The keys of `RandomState` come from the system's random source. A hash of an empty input
    // depends only on these keys.
    Seed::new(RandomState::new().build_hasher().finish())
}

/// Draws the first root seed of a sweep. The seed has only 40 bits. So it is short, and the sweep's
/// range of seeds cannot overflow.
pub(crate) fn fresh_for_a_sweep() -> Seed {
    Seed::new(fresh().get() >> 24)
}

/// Returns the root seed of the nextest run `id`. nextest starts a process for each test, and all
/// these processes must use the same seed.
pub(crate) fn of_nextest_run(id: &str) -> Seed {
    Seed::new(0).child("nextest run", id)
}
