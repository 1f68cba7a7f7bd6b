//! The tests of the program `before_rename`, under new names.

use harness::{Context, Result};

/// With `seed_name`, a renamed test's seed is derived from the old name.
#[harness::chaos(crate = harness, seed_name = "seeds::draws")]
fn draws_as_before(cx: Context) -> Result {
    clarity_chaos_registration::flip_three_bits(&cx)
}

/// Without `seed_name`, a renamed test's seed is derived from the new name.
#[harness::chaos(crate = harness)]
fn draws_differently(cx: Context) -> Result {
    clarity_chaos_registration::flip_three_bits(&cx)
}

/// Fails with every seed, as the test under the old name does.
#[harness::chaos(crate = harness, seed_name = "seeds::fails")]
fn fails_as_before() {
    panic!("it fails under both names");
}
