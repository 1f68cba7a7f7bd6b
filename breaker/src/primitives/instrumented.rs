//! The native primitives, with a count of their uses on each thread.

use std::cell::Cell;
use std::sync::{LockResult, atomic};

use super::native;

pub(crate) use super::native::{Instant, MutexGuard, Ordering, parallelism, thread_number};

/// The operations of one thread since its last [`take`](Self::take).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OperationCounts {
    pub(crate) clock_reads: u32,
    pub(crate) locks: u32,
    /// Writes to atomic words; writes behind a lock are not counted.
    pub(crate) writes: u32,
}

thread_local! {
    static COUNTS: Cell<OperationCounts> = const { Cell::new(OperationCounts::ZERO) };
}

impl OperationCounts {
    pub(crate) const ZERO: Self = Self {
        clock_reads: 0,
        locks: 0,
        writes: 0,
    };

    /// Returns this thread's counts and sets them to zero.
    pub(crate) fn take() -> Self {
        COUNTS.take()
    }

    fn update(update: impl FnOnce(&mut Self)) {
        let mut counts = COUNTS.get();
        update(&mut counts);
        COUNTS.set(counts);
    }
}

#[derive(Debug)]
pub(crate) struct AtomicU64(atomic::AtomicU64);

impl AtomicU64 {
    pub(crate) fn new(value: u64) -> Self {
        Self(atomic::AtomicU64::new(value))
    }

    pub(crate) fn load(&self, ordering: Ordering) -> u64 {
        self.0.load(ordering)
    }

    pub(crate) fn fetch_add(&self, value: u64, ordering: Ordering) -> u64 {
        OperationCounts::update(|counts| counts.writes += 1);
        self.0.fetch_add(value, ordering)
    }

    pub(crate) fn fetch_update(
        &self,
        set: Ordering,
        fetch: Ordering,
        next: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        let before = self.0.fetch_update(set, fetch, next);
        OperationCounts::update(|counts| counts.writes += u32::from(before.is_ok()));
        before
    }
}

#[derive(Debug)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        OperationCounts::update(|counts| counts.locks += 1);
        self.0.lock()
    }
}

pub(crate) fn now() -> Instant {
    OperationCounts::update(|counts| counts.clock_reads += 1);
    native::now()
}
