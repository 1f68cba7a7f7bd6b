//! Tests for sweeps over many seeds.

use clarity_chaos::fault::BitFlip;
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos};
use std::fs;
use std::path::PathBuf;

/// Fails with about one seed in fifty.
#[chaos]
fn rarely_fails(cx: Context) {
    let drawn = cx.rng().random_range(0..50);
    assert_ne!(drawn, 0, "the one seed in fifty");
}

/// Passes with every seed.
#[chaos]
fn never_fails() {}

/// Fails in the first run with a history directory, and passes in later runs with that directory.
#[chaos(non_destructive)]
fn fails_in_the_first_run() -> Result {
    let mark = PathBuf::from(std::env::var("CHAOS_HISTORY")?).join("has-run");
    assert!(mark.exists() || fs::write(mark, "").is_err());
    Ok(())
}

/// Fails if a bit flip hits byte 1234 of the file `model`. One seed in 5,000 causes this flip.
#[chaos(non_destructive)]
fn one_byte_in_5000_matters(cx: Context) -> Result {
    let (other, model) = (cx.dir().join("other"), cx.dir().join("model"));
    fs::write(&other, [0; 64])?;
    fs::write(&model, [0; 5000])?;
    let mut flips = Vec::new();
    for number in 0..14 {
        // The minimizer must remove the flips of the file `other` from the plan.
        let file = if number == 6 { &model } else { &other };
        flips.push(cx.inject(BitFlip::new(file))?);
    }
    assert_eq!(fs::read(&model)?[1234], 0, "the byte that matters");
    Ok(())
}
