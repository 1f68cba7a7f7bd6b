//! The standard library's primitives and Tokio's clock.

use std::cell::Cell;
use std::sync::atomic::AtomicUsize;

#[cfg(not(test))]
pub(crate) use std::sync::Mutex;
pub(crate) use std::sync::MutexGuard;
#[cfg(not(test))]
pub(crate) use std::sync::atomic::AtomicU64;
pub(crate) use std::sync::atomic::Ordering;

pub(crate) use tokio::time::Instant;

/// The time of Tokio's clock, which tests can pause and advance.
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The number of the current thread, constant for the thread's lifetime. No two threads share a
/// number.
#[inline]
pub(crate) fn thread_number() -> usize {
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

/// The number of threads that can run at the same time.
pub(crate) fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::thread;

    #[test]
    fn thread_number_is_constant_and_unique() {
        let twice = || (thread_number(), thread_number());
        let numbers: BTreeSet<usize> = (0..3)
            .map(|_| {
                let (first, again) = thread::spawn(twice).join().unwrap();
                assert_eq!(first, again);
                first
            })
            .collect();
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
