//! Root seeds drawn by the runner.

use clarity_chaos_record::Seed;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Draws a root seed from the operating system's randomness.
pub(crate) fn fresh() -> Seed {
    // Each `RandomState` has keys from the system's random source; an empty hash depends on them.
    Seed::new(RandomState::new().build_hasher().finish())
}

/// Draws the first root seed of a sweep: of 40 bits, so that it is short and the range has room.
pub(crate) fn fresh_for_a_sweep() -> Seed {
    Seed::new(fresh().get() >> 24)
}

/// The root seed of the nextest run `id`. nextest starts a process per test; all of them must share
/// the seed.
pub(crate) fn of_nextest_run(id: &str) -> Seed {
    Seed::new(0).child("nextest run", id)
}
