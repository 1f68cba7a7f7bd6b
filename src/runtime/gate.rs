//! First come, first served, so many at a time.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Lets so many threads through at a time, in the order in which they came.
///
/// A pool of worker threads that wait for parts of one run take up whole other runs in the meantime and finish those
/// first; with many runs in the pool at once some wait a hundred times longer than others (measured: 990 ms at the 99th
/// percentile where the median was 23 ms). With no more runs in the pool than it has threads that cannot happen.
#[derive(Debug)]
pub(super) struct Gate {
    width: usize,
    tickets: Mutex<Tickets>,
    /// Who waits does so at the number of the ticket modulo their count: so a thread that leaves wakes the next one, and
    /// no others unless more wait than there are of these.
    next: [Condvar; WAITING],
}

/// As many as a server lets run at a time, unless told otherwise.
const WAITING: usize = crate::BlockingPool::DEFAULT_INFERENCES;

#[derive(Debug, Default)]
struct Tickets {
    issued: usize,
    returned: usize,
}

/// A place inside, given back when dropped, also by a panic.
#[derive(Debug)]
pub(super) struct Inside<'a>(&'a Gate);

impl Gate {
    pub(super) fn new(width: NonZeroUsize) -> Self {
        Self {
            width: width.get(),
            tickets: Mutex::default(),
            next: [const { Condvar::new() }; WAITING],
        }
    }

    /// Waits for a place.
    pub(super) fn enter(&self) -> Inside<'_> {
        let mut tickets = self.lock();
        let mine = tickets.issued;
        tickets.issued += 1;
        while mine >= tickets.returned + self.width {
            tickets = self.next[mine % WAITING]
                .wait(tickets)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Inside(self)
    }

    fn lock(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut tickets = self.0.lock();
        tickets.returned += 1;
        let next = tickets.returned + self.0.width - 1;
        drop(tickets);
        // All that wait there, since only one of them has the ticket.
        self.0.next[next % WAITING].notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_than_its_width_are_inside() {
        let gate = Gate::new(NonZeroUsize::new(3).unwrap());
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let _place = gate.enter();
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3);
    }

    #[test]
    fn they_enter_in_the_order_in_which_they_came() {
        let gate = Gate::new(NonZeroUsize::MIN);
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let first = gate.enter();
            for number in 0..8 {
                let (gate, order) = (&gate, &order);
                scope.spawn(move || {
                    let _place = gate.enter();
                    order.lock().unwrap().push(number);
                });
                while gate.lock().issued < number + 2 {
                    std::thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_panic_gives_the_place_back() {
        let gate = Gate::new(NonZeroUsize::MIN);
        let caught = crate::panics::catch(|| {
            let _place = gate.enter();
            panic!("inside");
        });
        assert!(caught.is_err());
        drop(gate.enter());
    }
}
