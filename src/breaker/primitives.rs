//! What the breaker is made of: atomic words, locks, the clock, the number of a thread.
//!
//! Nothing else in this folder touches shared memory or time, so the tests in `tests/breaker` compile the same files
//! over other primitives: loom's, which try all interleavings, and ones that count how often each is used.

use std::cell::Cell;
use std::sync::atomic::AtomicUsize;

pub(super) use std::sync::atomic::{AtomicU64, Ordering};
pub(super) use std::sync::{Mutex, MutexGuard};

pub(super) use tokio::time::Instant;

/// The time by Tokio's clock, which tests may drive.
pub(super) fn now() -> Instant {
    Instant::now()
}

/// A number for the current thread, the same for as long as it lives; threads that start one after the other have
/// different ones.
pub(super) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    NUMBER.with(|number| {
        number.get().unwrap_or_else(|| {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            number.set(Some(next));
            next
        })
    })
}

/// How many threads may run at once.
pub(super) fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_thread_keeps_its_number_and_others_have_others() {
        let twice = || (thread_number(), thread_number());
        let mut numbers: Vec<usize> = (0..3)
            .map(|_| {
                let (first, again) = thread::spawn(twice).join().unwrap();
                assert_eq!(first, again);
                first
            })
            .collect();
        numbers.dedup();
        assert_eq!(numbers.len(), 3, "{numbers:?}");
    }

    #[test]
    fn parallelism_is_that_of_the_machine() {
        assert_eq!(
            parallelism(),
            thread::available_parallelism().unwrap().get()
        );
    }
}
