//! Tests that depend on more than their seed, and tests that depend on the seed alone.

use clarity_chaos::fault::BitFlip;
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Notes the iteration order of a `HashSet`.
#[chaos]
fn order(cx: Context) {
    let set: HashSet<u32> = (0..100).collect();
    cx.note(format!("{set:?}"));
}

/// Notes the time of the real clock.
#[chaos]
fn clock(cx: Context) -> Result {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    cx.note(now.as_nanos());
    Ok(())
}

/// Draws everything from the seed, and notes the path of a file.
#[chaos]
fn none(cx: Context) -> Result {
    cx.note(cx.rng().random::<u64>());
    let path = cx.dir().join("file");
    fs::write(&path, [0; 100])?;
    cx.note(path.display());
    let _rot = cx.inject(BitFlip::new(path))?;
    Ok(())
}

/// Draws a number from the operating system, not from the seed.
#[chaos]
fn unseeded(cx: Context) -> Result {
    let mut drawn = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut drawn)?;
    cx.note(u64::from_ne_bytes(drawn));
    Ok(())
}

/// Notes the name of the faster of two threads. The first thread wins nearly always.
#[chaos]
fn race(cx: Context) {
    let winner = OnceLock::new();
    thread::scope(|scope| {
        scope.spawn(|| winner.set("the first"));
        // The second thread starts later, so it rarely wins. Many real races are hidden in the same
        // way.
        thread::sleep(Duration::from_millis(5));
        scope.spawn(|| winner.set("the second"));
    });
    cx.note(winner.get().copied().unwrap_or_default());
}

/// Joins threads in a fixed order, and notes each thread's result.
#[chaos]
fn joined(cx: Context) {
    let threads: Vec<_> = (0..4).map(|number| thread::spawn(move || number)).collect();
    for thread in threads {
        cx.note(thread.join().unwrap_or_default());
    }
    cx.measured(format!("{:?}", Instant::now()));
}
