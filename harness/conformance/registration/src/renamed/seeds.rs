//! The tests of `before_rename` under new names.

use harness::{Context, Result};

/// A renamed test draws from its old name.
#[harness::chaos(crate = harness, seed_name = "seeds::draws")]
fn draws_as_before(cx: Context) -> Result {
    clarity_chaos_registration::flip_three_bits(&cx)
}

/// A renamed test draws from its new name.
#[harness::chaos(crate = harness)]
fn draws_differently(cx: Context) -> Result {
    clarity_chaos_registration::flip_three_bits(&cx)
}

/// A renamed test still fails with every seed.
#[harness::chaos(crate = harness, seed_name = "seeds::fails")]
fn fails_as_before() {
    panic!("it fails under both names");
}
