//! The threads of one session, and their queue of work.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rten::ThreadPool;

use super::RuntimeError;
use crate::panics::catch;
use crate::session::Work;
use crate::stopwatch::Stopwatch;

/// The minimum duration of a run that is worth spreading over several threads. The spreading itself
/// takes some tens of microseconds.
const WORTH_SPREADING: Duration = Duration::from_millis(1);

/// The threads of one session, which take work in order of arrival.
///
/// Each thread is the only worker of its own rayon pool. A run uses a pool of several threads
/// instead if the last run was long and nothing else is queued or running.
// A run in a pool of one thread needs no handover to another thread. In a pool of several threads,
// every run wakes workers, which steal parts of the run and yield in between. In such a pool, a run
// of 0.1 ms took 35 thread switches. Each yield lost 4 ms while another thread loaded a model.
// While a worker waits for a part of its run, it also starts other, complete runs. These other runs
// delay the worker's own run.
#[derive(Debug)]
pub(super) struct SessionThreads(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    threads: NonZeroUsize,
    /// The pool of several threads for long runs, started at its first use.
    wide_pool: OnceLock<Arc<ThreadPool>>,
    /// Whether the last run was long.
    is_long: AtomicBool,
}

#[derive(Default)]
struct Queue {
    work: VecDeque<Work>,
    /// The number of threads that run work.
    busy: usize,
    closed: bool,
}

thread_local! {
    /// The session that this thread works for, and the thread's own pool of one thread.
    static CURRENT: RefCell<Option<(Arc<Shared>, Arc<ThreadPool>)>> = const { RefCell::new(None) };
}

impl SessionThreads {
    /// Starts the threads, with the priority of the caller.
    ///
    /// # Errors
    ///
    /// When the system cannot start a thread.
    pub(super) fn new(threads: NonZeroUsize) -> Result<Self, RuntimeError> {
        let session = Self(Arc::new(Shared {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            threads,
            wide_pool: OnceLock::new(),
            is_long: AtomicBool::new(false),
        }));
        for _ in 0..threads.get() {
            let pool = Arc::new(ThreadPool::with_num_threads(1));
            let (shared, own) = (Arc::clone(&session.0), Arc::clone(&pool));
            let has_begun = pool.run(move || {
                // rayon runs this closure on the caller's thread if the pool has no thread.
                let is_worker = rayon::current_thread_index().is_some();
                if is_worker {
                    rayon::spawn(move || shared.serve(own));
                }
                is_worker
            });
            if !has_begun {
                return Err(RuntimeError::Unloadable(
                    "the system started no thread for it".to_owned(),
                ));
            }
        }
        Ok(session)
    }

    /// Queues `work`.
    pub(super) fn spawn(&self, work: Work) {
        self.0.lock().work.push_back(work);
        self.0.arrived.notify_one();
    }

    /// Queues `work` and waits for its result. Calls `work` with the pool in which the model must
    /// run.
    ///
    /// Runs `work` at once if the caller is one of the session's own threads.
    ///
    /// # Panics
    ///
    /// When `work` panics.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Arc<ThreadPool>) -> T + Send + 'static,
    ) -> T {
        if let Some(pool) = self.0.current_pool() {
            return self.0.measure(|| work(pool));
        }
        let (sender, receiver) = sync_channel(1);
        let shared = Arc::clone(&self.0);
        self.spawn(Box::new(move || {
            let pool = shared
                .current_pool()
                .expect("queued work runs on a session thread");
            // The receiver below waits for the result, so sending cannot fail.
            let _ = sender.send(catch(|| shared.measure(|| work(pool))));
        }));
        match receiver.recv() {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => panic!("{panic}"),
            Err(_) => unreachable!("session threads do all queued work"),
        }
    }
}

impl Drop for SessionThreads {
    /// Closes the queue without waiting: the threads end once the queue is empty.
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.arrived.notify_all();
    }
}

impl Shared {
    /// Runs queued work on the calling thread until the queue is closed and empty.
    fn serve(self: Arc<Self>, pool: Arc<ThreadPool>) {
        CURRENT.set(Some((Arc::clone(&self), pool)));
        while let Some(work) = self.next() {
            // The work reports its own panics, and the thread must survive them.
            let _ = catch(work);
            self.lock().busy -= 1;
        }
        CURRENT.set(None);
    }

    /// Runs the model, and notes whether the run was long.
    // Queued work need not run the model: a client that has gone leaves work that does nothing.
    fn measure<T>(&self, run: impl FnOnce() -> T) -> T {
        let stopwatch = Stopwatch::start();
        let result = run();
        let is_long = stopwatch.elapsed() >= WORTH_SPREADING;
        self.is_long.store(is_long, Ordering::Relaxed);
        result
    }

    fn next(&self) -> Option<Work> {
        let mut queue = self.lock();
        loop {
            if let Some(work) = queue.work.pop_front() {
                queue.busy += 1;
                return Some(work);
            } else if queue.closed {
                return None;
            }
            let woken = self.arrived.wait(queue);
            queue = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The pool for a run on the current thread; `None` if that thread does not belong to this
    /// session.
    fn current_pool(&self) -> Option<Arc<ThreadPool>> {
        let own = CURRENT.with_borrow(|current| {
            let (shared, pool) = current.as_ref()?;
            std::ptr::eq(Arc::as_ptr(shared), self).then(|| Arc::clone(pool))
        })?;
        match self.is_long.load(Ordering::Relaxed) && self.is_alone() {
            true => Some(Arc::clone(self.wide_pool.get_or_init(|| {
                Arc::new(ThreadPool::with_num_threads(self.threads.get()))
            }))),
            false => Some(own),
        }
    }

    fn is_alone(&self) -> bool {
        let queue = self.lock();
        self.threads.get() > 1 && queue.busy == 1 && queue.work.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
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

    fn session(threads: usize) -> SessionThreads {
        SessionThreads::new(NonZeroUsize::new(threads).unwrap()).unwrap()
    }

    /// Occupies `threads` threads until the returned sender is dropped.
    fn occupy(session: &SessionThreads, threads: usize) -> std::sync::mpsc::Sender<()> {
        let (release, released) = channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let all_here = Arc::new(Barrier::new(threads + 1));
        for _ in 0..threads {
            let (released, all_here) = (Arc::clone(&released), Arc::clone(&all_here));
            session.spawn(Box::new(move || {
                all_here.wait();
                let _ = released.lock().unwrap().recv();
            }));
        }
        all_here.wait();
        release
    }

    /// Waits until no thread runs work.
    fn until_idle(session: &SessionThreads) {
        while session.0.lock().busy > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn work_runs_in_order_of_arrival() {
        let session = session(1);
        let release = occupy(&session, 1);
        let (sender, receiver) = channel();
        for number in 0..8 {
            let sender = sender.clone();
            session.spawn(Box::new(move || sender.send(number).unwrap()));
        }
        drop((release, sender));
        assert_eq!(
            receiver.iter().collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5, 6, 7]
        );
    }

    #[test]
    fn session_runs_no_more_work_than_its_threads() {
        let session = session(3);
        let release = occupy(&session, 3);
        let (sender, receiver) = channel();
        session.spawn(Box::new(move || sender.send(()).unwrap()));
        assert_eq!(session.0.lock().busy, 3);
        assert_eq!(session.0.lock().work.len(), 1, "there is no fourth thread");
        drop(release);
        receiver.recv().unwrap();
    }

    #[test]
    fn nested_run_of_the_same_session_is_not_queued() {
        let session = Arc::new(session(1));
        let within = Arc::clone(&session);
        let threads = session.run(move |_| {
            let outer = std::thread::current().id();
            (outer, within.run(|_| std::thread::current().id()))
        });
        assert_eq!(threads.0, threads.1);
        assert_ne!(threads.0, std::thread::current().id());
    }

    #[test]
    fn panic_reaches_the_caller_and_the_thread_lives() {
        let session = session(1);
        session.spawn(Box::new(|| panic!("unheard")));
        let caught = catch(|| session.run(|_| -> () { panic!("heard") }));
        assert_eq!(caught, Err("heard".to_owned()));
        assert_eq!(session.run(|_| 7), 7);
    }

    #[test]
    fn long_run_alone_uses_all_threads() {
        let session = session(2);
        let threads = |_: Arc<ThreadPool>| rayon::current_num_threads();
        let pool_threads = |pool: Arc<ThreadPool>| pool.run(rayon::current_num_threads);
        assert_eq!(session.run(threads), 1);
        assert_eq!(session.run(pool_threads), 1);
        until_idle(&session);
        session.0.is_long.store(true, Ordering::Relaxed);
        assert_eq!(session.run(pool_threads), 2);
        until_idle(&session);
        let shared = Arc::clone(&session.0);
        let shared_run = session.run(move |_| {
            shared.is_long.store(true, Ordering::Relaxed);
            shared.lock().busy += 1;
            let pool = shared.current_pool().unwrap();
            shared.lock().busy -= 1;
            pool_threads(pool)
        });
        assert_eq!(shared_run, 1, "another run is under way");
    }

    #[test]
    fn work_without_a_run_says_nothing_about_runs() {
        let session = session(2);
        session.0.is_long.store(true, Ordering::Relaxed);
        let (sender, receiver) = channel();
        session.spawn(Box::new(move || sender.send(()).unwrap()));
        receiver.recv().unwrap();
        until_idle(&session);
        assert!(session.0.is_long.load(Ordering::Relaxed));
    }

    #[test]
    fn queued_work_is_done_after_drop() {
        let session = session(1);
        let release = occupy(&session, 1);
        let (sender, receiver) = channel();
        session.spawn(Box::new(move || sender.send(()).unwrap()));
        let shared = Arc::downgrade(&session.0);
        drop((session, release));
        receiver.recv().unwrap();
        while shared.strong_count() > 0 {
            std::thread::yield_now();
        }
    }
}
