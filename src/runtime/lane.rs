//! The threads of one session, and the work that waits for them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rten::ThreadPool;

use super::{RuntimeError, Work};
use crate::panics::catch;
use crate::stopwatch::Stopwatch;

/// A run that took this long alone on its thread gains from more of them. To spread one costs some tens of microseconds.
const WORTH_SPREADING: Duration = Duration::from_millis(1);

/// A few threads that take work in the order in which it came.
///
/// Each thread is a pool of one, in whose worker it waits: so rten finds itself where it wants to run and hands nothing over. In
/// a pool of several, every run wakes workers that look for parts of it and give way to other threads in between
/// (measured: 35 switches for a run of 0.1 ms; and beside a thread that loads a model, 4 ms lost at every such
/// giving way), and a worker that waits for a part of one run takes up whole other runs in the meantime. A long run with nobody waiting behind
/// it is spread over a pool of several all the same.
#[derive(Debug)]
pub(super) struct Lane(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    width: NonZeroUsize,
    /// Where a long run is spread; there from the first such run.
    wide: OnceLock<Arc<ThreadPool>>,
    /// Whether the last run was one.
    is_long: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    work: VecDeque<Work>,
    /// Threads at work.
    busy: usize,
    closed: bool,
}

thread_local! {
    /// The lane that this thread belongs to, and the pool of one that it is.
    static HERE: RefCell<Option<(Arc<Shared>, Arc<ThreadPool>)>> = const { RefCell::new(None) };
}

impl Lane {
    /// Starts the threads, with the priority of the caller.
    ///
    /// # Errors
    ///
    /// When no thread is to be had.
    pub(super) fn new(width: NonZeroUsize) -> Result<Self, RuntimeError> {
        let lane = Self(Arc::new(Shared {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            width,
            wide: OnceLock::new(),
            is_long: AtomicBool::new(false),
        }));
        for _ in 0..width.get() {
            let pool = Arc::new(ThreadPool::with_num_threads(1));
            let (shared, own) = (Arc::clone(&lane.0), Arc::clone(&pool));
            let has_begun = pool.run(move || {
                // A pool that has no thread runs this on the caller's.
                let is_worker = rayon::current_thread_index().is_some();
                if is_worker {
                    rayon::spawn(move || shared.serve(own));
                }
                is_worker
            });
            if !has_begun {
                return Err(RuntimeError::Unloadable(
                    "no thread could be started for it".to_owned(),
                ));
            }
        }
        Ok(lane)
    }

    /// Has `work` done in its turn.
    pub(super) fn spawn(&self, work: Work) {
        self.0.lock().work.push_back(work);
        self.0.arrived.notify_one();
    }

    /// Does `work`, which is told the pool to run a model in, in its turn and waits for it; at once on a thread of the
    /// lane, whose turn it is.
    ///
    /// # Panics
    ///
    /// As `work` does.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Arc<ThreadPool>) -> T + Send + 'static,
    ) -> T {
        if let Some(pool) = self.0.pool_here() {
            return work(pool);
        }
        let (sender, receiver) = sync_channel(1);
        let shared = Arc::clone(&self.0);
        self.spawn(Box::new(move || {
            let pool = shared.pool_here().expect("a thread of the lane");
            // It is waited for below.
            let _ = sender.send(catch(|| work(pool)));
        }));
        match receiver.recv() {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => panic!("{panic}"),
            Err(_) => unreachable!("a lane does all work that it was given"),
        }
    }
}

impl Drop for Lane {
    /// The threads end when they have done what waits; one that is stuck ends when it ends.
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.arrived.notify_all();
    }
}

impl Shared {
    /// One thread: works until the lane is closed and empty.
    fn serve(self: Arc<Self>, pool: Arc<ThreadPool>) {
        HERE.set(Some((Arc::clone(&self), pool)));
        while let Some(work) = self.next() {
            let stopwatch = Stopwatch::start();
            // Whoever gave it looks for its panics; a thread must outlive them.
            let _ = catch(work);
            let is_long = stopwatch.elapsed() >= WORTH_SPREADING;
            self.is_long.store(is_long, Ordering::Relaxed);
            self.lock().busy -= 1;
        }
        HERE.set(None);
    }

    fn next(&self) -> Option<Work> {
        let mut waiting = self.lock();
        loop {
            if let Some(work) = waiting.work.pop_front() {
                waiting.busy += 1;
                return Some(work);
            } else if waiting.closed {
                return None;
            }
            let woken = self.arrived.wait(waiting);
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Where the work of this lane that runs on this thread runs a model; none on other threads.
    fn pool_here(&self) -> Option<Arc<ThreadPool>> {
        let own = HERE.with_borrow(|here| {
            let (lane, pool) = here.as_ref()?;
            std::ptr::eq(Arc::as_ptr(lane), self).then(|| Arc::clone(pool))
        })?;
        match self.is_long.load(Ordering::Relaxed) && self.is_alone() {
            true => Some(Arc::clone(self.wide.get_or_init(|| {
                Arc::new(ThreadPool::with_num_threads(self.width.get()))
            }))),
            false => Some(own),
        }
    }

    fn is_alone(&self) -> bool {
        let waiting = self.lock();
        self.width.get() > 1 && waiting.busy == 1 && waiting.work.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("work", &self.work.len())
            .field("busy", &self.busy)
            .field("closed", &self.closed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    use super::*;

    fn lane(width: usize) -> Lane {
        Lane::new(NonZeroUsize::new(width).unwrap()).unwrap()
    }

    /// Keeps every thread of a lane until the sender is dropped.
    fn occupy(lane: &Lane, width: usize) -> std::sync::mpsc::Sender<()> {
        let (release, released) = channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let all_here = Arc::new(Barrier::new(width + 1));
        for _ in 0..width {
            let (released, all_here) = (Arc::clone(&released), Arc::clone(&all_here));
            lane.spawn(Box::new(move || {
                all_here.wait();
                let _ = released.lock().unwrap().recv();
            }));
        }
        all_here.wait();
        release
    }

    /// Waits until no thread is at work.
    fn until_idle(lane: &Lane) {
        while lane.0.lock().busy > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn work_is_done_in_the_order_in_which_it_came() {
        let lane = lane(1);
        let release = occupy(&lane, 1);
        let (sender, receiver) = channel();
        for number in 0..8 {
            let sender = sender.clone();
            lane.spawn(Box::new(move || sender.send(number).unwrap()));
        }
        drop((release, sender));
        assert_eq!(
            receiver.iter().collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5, 6, 7]
        );
    }

    #[test]
    fn as_many_are_at_work_as_the_lane_is_wide_and_no_more() {
        let lane = lane(3);
        let release = occupy(&lane, 3);
        let (sender, receiver) = channel();
        lane.spawn(Box::new(move || sender.send(()).unwrap()));
        assert_eq!(lane.0.lock().busy, 3);
        assert_eq!(lane.0.lock().work.len(), 1, "there is no fourth thread");
        drop(release);
        receiver.recv().unwrap();
    }

    #[test]
    fn work_within_work_of_the_same_lane_does_not_wait_for_its_turn() {
        let lane = Arc::new(lane(1));
        let within = Arc::clone(&lane);
        let threads = lane.run(move |_| {
            let outer = std::thread::current().id();
            (outer, within.run(|_| std::thread::current().id()))
        });
        assert_eq!(threads.0, threads.1);
        assert_ne!(threads.0, std::thread::current().id());
    }

    #[test]
    fn a_panic_is_told_to_who_waits_and_the_thread_goes_on() {
        let lane = lane(1);
        lane.spawn(Box::new(|| panic!("unheard")));
        let caught = catch(|| lane.run(|_| -> () { panic!("heard") }));
        assert_eq!(caught, Err("heard".to_owned()));
        assert_eq!(lane.run(|_| 7), 7);
    }

    #[test]
    fn a_run_has_its_own_thread_and_a_long_one_that_is_alone_has_all() {
        let lane = lane(2);
        let threads = |_: Arc<ThreadPool>| rayon::current_num_threads();
        let of_the_pool = |pool: Arc<ThreadPool>| pool.run(rayon::current_num_threads);
        assert_eq!(lane.run(threads), 1);
        assert_eq!(lane.run(of_the_pool), 1);
        until_idle(&lane);
        lane.0.is_long.store(true, Ordering::Relaxed);
        assert_eq!(lane.run(of_the_pool), 2);
        until_idle(&lane);
        let shared = Arc::clone(&lane.0);
        let beside = lane.run(move |_| {
            shared.is_long.store(true, Ordering::Relaxed);
            shared.lock().busy += 1;
            let pool = shared.pool_here().unwrap();
            shared.lock().busy -= 1;
            of_the_pool(pool)
        });
        assert_eq!(beside, 1, "another one runs beside it");
    }

    #[test]
    fn what_was_taken_is_done_also_when_the_lane_is_dropped() {
        let lane = lane(1);
        let release = occupy(&lane, 1);
        let (sender, receiver) = channel();
        lane.spawn(Box::new(move || sender.send(()).unwrap()));
        let shared = Arc::downgrade(&lane.0);
        drop((lane, release));
        receiver.recv().unwrap();
        while shared.strong_count() > 0 {
            std::thread::yield_now();
        }
    }
}
