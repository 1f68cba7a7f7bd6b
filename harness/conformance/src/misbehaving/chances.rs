//! Tests that do not follow from their seed alone, and one that does.

use clarity_chaos::fault::BitFlip;
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// Draws from the system, and not from the seed.
#[chaos]
fn unseeded(cx: Context) -> Result {
    let mut drawn = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut drawn)?;
    cx.note(u64::from_ne_bytes(drawn));
    Ok(())
}

/// Tells which of two threads came first. Nearly always the one that was started first does.
#[chaos]
fn race(cx: Context) {
    let winner = OnceLock::new();
    thread::scope(|scope| {
        scope.spawn(|| winner.set("the first"));
        // What makes races rare: it seems to work.
        thread::sleep(Duration::from_millis(5));
        scope.spawn(|| winner.set("the second"));
    });
    cx.note(winner.get().copied().unwrap_or_default());
}

/// Has threads, and waits for what each has to say in an order of its own.
#[chaos]
fn joined(cx: Context) {
    let threads: Vec<_> = (0..4).map(|number| thread::spawn(move || number)).collect();
    for thread in threads {
        cx.note(thread.join().unwrap_or_default());
    }
    cx.measured(format!("{:?}", Instant::now()));
}
