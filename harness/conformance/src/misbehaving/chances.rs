//! Tests that do not follow from their seed alone, and one that does.

use clarity_chaos::fault::BitFlip;
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos};
use std::collections::HashSet;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the order of a `HashSet`.
#[chaos]
fn order(cx: Context) {
    let set: HashSet<u32> = (0..100).collect();
    cx.note(format!("{set:?}"));
}

/// Tells the time of a real clock.
#[chaos]
fn clock(cx: Context) -> Result {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    cx.note(now.as_nanos());
    Ok(())
}

/// Draws all from the seed, and tells where its files are.
#[chaos]
fn none(cx: Context) -> Result {
    cx.note(cx.rng().random::<u64>());
    let path = cx.dir().join("file");
    fs::write(&path, [0; 100])?;
    cx.note(path.display());
    let _rot = cx.inject(BitFlip::in_file(path))?;
    Ok(())
}
