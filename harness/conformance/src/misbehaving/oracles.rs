//! Tests with oracles in and around them.

use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, always, chaos, reachable, sometimes};
use std::panic;

/// Reaches all of its oracles: the second only with some seeds.
#[chaos]
async fn met(cx: Context) {
    let drawn = cx.rng().random_range(0..4);
    always!(drawn < 4, "what is drawn is in bounds");
    sometimes!(drawn == 0, "the lowest is drawn");
    if drawn == 3 {
        reachable!("the highest is drawn");
    }
}

/// Never reaches one of its oracles, and one never holds.
#[chaos]
fn unmet(cx: Context) {
    sometimes!(cx.name().is_empty(), "a test has no name");
    if cx.name().is_empty() {
        reachable!("a place that nothing reaches");
    }
}

/// Violates an oracle, and hides the panic in each way there is.
#[chaos]
fn violated_in_secret(cx: Context) -> Result {
    cx.expect_panic("it does not always hold");
    let caught = panic::catch_unwind(|| always!(1 > 2, "one is more than two"));
    assert!(caught.is_err());
    Ok(())
}
