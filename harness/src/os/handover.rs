//! Values that a process gives to processes that were forked before.
#![expect(unsafe_code, reason = "shared memory has no safe form")]

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::thread::{Timespec, futex};
use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The place of one value in memory that forked processes share.
///
/// The values have the numbers from 1. Each is taken once before the next one is given. References
/// in a value must be to memory that existed before the fork.
#[derive(Debug)]
pub(crate) struct Handover<T: Copy> {
    shared: NonNull<Shared<T>>,
}

struct Shared<T> {
    /// The number of the last given value.
    given: AtomicU32,
    /// The number of the last taken value.
    taken: AtomicU32,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written only while none is to be taken, and read only while one is.
unsafe impl<T: Copy + Send> Send for Handover<T> {}
// SAFETY: as above.
unsafe impl<T: Copy + Send> Sync for Handover<T> {}

impl<T: Copy> Handover<T> {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: the mapping is new, so nothing else uses its memory.
        let mapping = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                size_of::<Shared<T>>(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
            )
        }?;
        // A new mapping has only zeros, so both numbers are 0 already. It is aligned to a page.
        NonNull::new(mapping.cast())
            .map(|shared| Self { shared })
            .ok_or_else(|| io::Error::other("a mapping at address 0"))
    }

    /// Gives the next value. Only one thread may give values.
    ///
    /// # Panics
    ///
    /// When the last value was not taken.
    pub(crate) fn give(&self, value: T) {
        let shared = self.shared();
        let last = shared.given.load(Ordering::Relaxed);
        let taken = shared.taken.load(Ordering::Acquire);
        assert_eq!(taken, last, "expected that the last value was taken");
        // SAFETY: all values were taken, so nobody reads before `given` changes.
        unsafe { (*shared.value.get()).write(value) };
        shared.given.store(last + 1, Ordering::Release);
        // A process that does not wait yet sees the number.
        let _ = futex::wake(&shared.given, futex::Flags::empty(), 1);
    }

    /// Waits for the value with this number, and takes it. Each number may be taken once.
    pub(crate) fn take(&self, number: u32) -> io::Result<T> {
        let shared = self.shared();
        wait(&shared.given, number, None)?;
        // SAFETY: the value was written, and is not written again before `taken` changes.
        let value = unsafe { (*shared.value.get()).assume_init() };
        shared.taken.store(number, Ordering::Release);
        let _ = futex::wake(&shared.taken, futex::Flags::empty(), 1);
        Ok(value)
    }

    /// Waits until the value with this number was taken. Returns whether it was within `limit`.
    pub(crate) fn is_taken_within(&self, number: u32, limit: Duration) -> io::Result<bool> {
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        wait(&self.shared().taken, number, Some(limit))
    }

    fn shared(&self) -> &Shared<T> {
        // SAFETY: the memory is initialized, and stays mapped until `drop`.
        unsafe { self.shared.as_ref() }
    }
}

/// Waits until `current` is at least `number`. Returns whether it is within `limit`.
fn wait(current: &AtomicU32, number: u32, limit: Option<Timespec>) -> io::Result<bool> {
    loop {
        let found = current.load(Ordering::Acquire);
        if found >= number {
            return Ok(true);
        }
        match futex::wait(current, futex::Flags::empty(), found, limit.as_ref()) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::TIMEDOUT) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

impl<T: Copy> Drop for Handover<T> {
    fn drop(&mut self) {
        // SAFETY: `new` has made this mapping, and no reference to it outlives `self`.
        let _ = unsafe { munmap(self.shared.as_ptr().cast(), size_of::<Shared<T>>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn values_arrive_before_and_after_the_wait_began() {
        let handover = Handover::new().unwrap();
        handover.give((1_u8, u64::MAX));
        let limit = Duration::from_millis(1);
        assert!(!handover.is_taken_within(1, limit).unwrap());
        assert_eq!(handover.take(1).unwrap(), (1, u64::MAX));
        assert!(handover.is_taken_within(1, limit).unwrap());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| handover.take(2).unwrap());
            handover.give((2, 0));
            assert_eq!(waiting.join().unwrap(), (2, 0));
        });
    }

    #[test]
    #[should_panic(expected = "the last value was taken")]
    fn second_value_before_the_first_is_taken_panics() {
        let handover = Handover::new().unwrap();
        handover.give(1);
        handover.give(2);
    }
}
