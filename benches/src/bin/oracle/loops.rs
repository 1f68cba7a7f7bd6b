//! The compared loops, which differ only in the oracle and its sink.

use clarity_chaos_oracles::{Oracle, Sink, always, listen, silence};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of evaluations of the oracle's condition.
static EVALUATED: AtomicU64 = AtomicU64::new(0);

/// A sink that counts the calls of `Sink::reached`.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Sink for Counter {
    fn reached(&self, _: &'static Oracle, _: bool) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs a loop without an oracle.
#[inline(never)]
pub(crate) fn empty(iterations: u32) {
    for number in 0..iterations {
        black_box(number);
    }
}

/// Runs the loop with an oracle, while no sink listens.
///
/// # Panics
///
/// When the dormant oracle evaluates its condition.
pub(crate) fn dormant(iterations: u32) {
    let evaluated = evaluated_by(|| with_oracle(iterations));
    assert_eq!(evaluated, 0, "a dormant oracle evaluates its condition");
}

/// Runs the loop of [`dormant`] while a sink listens.
///
/// # Panics
///
/// When an iteration does not evaluate the oracle's condition. Also when the whole loop does not
/// call the sink exactly once.
pub(crate) fn listening(iterations: u32) {
    let counter = Arc::new(Counter::default());
    listen(counter.clone());
    let evaluated = evaluated_by(|| with_oracle(iterations));
    silence();
    let reached = counter.0.load(Ordering::Relaxed);
    assert_eq!((evaluated, reached), (u64::from(iterations), 1));
}

#[inline(never)]
fn with_oracle(iterations: u32) {
    for number in 0..iterations {
        let number = black_box(number);
        always!(is_below(number, iterations), "a number is in the range");
    }
}

fn is_below(number: u32, end: u32) -> bool {
    EVALUATED.fetch_add(1, Ordering::Relaxed);
    number < end
}

fn evaluated_by(run: impl FnOnce()) -> u64 {
    let before = EVALUATED.load(Ordering::Relaxed);
    run();
    EVALUATED.load(Ordering::Relaxed) - before
}
