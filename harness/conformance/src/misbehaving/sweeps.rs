//! Tests to sweep over many seeds.

use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, chaos};

/// Fails with about one seed in fifty.
#[chaos]
fn rarely_fails(cx: Context) {
    let drawn = cx.rng().random_range(0..50);
    assert_ne!(drawn, 0, "the one seed in fifty");
}

/// Passes with every seed.
#[chaos]
fn never_fails() {}
