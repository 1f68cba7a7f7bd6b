//! Tests with oracles that are met, unmet or violated.

use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, always, chaos, reachable, sometimes};
use std::panic;

/// Meets all of its oracles, two of them only with some seeds.
#[chaos]
async fn met(cx: Context) {
    let drawn = cx.rng().random_range(0..4);
    always!(drawn < 4, "the drawn number is in bounds");
    sometimes!(drawn == 0, "the lowest is drawn");
    if drawn == 3 {
        reachable!("the highest is drawn");
    }
}

/// Never meets its `sometimes!` oracle, and never reaches its `reachable!` oracle.
#[chaos]
fn unmet(cx: Context) {
    sometimes!(cx.name().is_empty(), "a test has no name");
    if cx.name().is_empty() {
        reachable!("a place that nothing reaches");
    }
}

/// Violates an oracle. The test declares and catches the oracle's panic.
#[chaos]
fn violated_in_secret(cx: Context) -> Result {
    cx.expect_panic("it does not always hold");
    let caught = panic::catch_unwind(|| always!(1 > 2, "one is more than two"));
    assert!(caught.is_err());
    Ok(())
}
