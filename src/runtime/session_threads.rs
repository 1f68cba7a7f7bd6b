//! The threads of one session, and their queue of work.

mod demotion;
mod idle_threads;
mod runs;
mod wide_pool;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use rten::ThreadPool;

pub(crate) use self::idle_threads::IdleThreads;
use self::runs::Runs;
use self::wide_pool::WidePool;
use crate::panics::catch;
use crate::session::Work;
use crate::stopwatch::Stopwatch;
use crate::system_thread::SystemThread;

/// The minimum duration of a run that is worth spreading over several threads. The spreading itself
/// takes some tens of microseconds.
const WORTH_SPREADING: Duration = Duration::from_millis(1);

/// The threads of one session, which take work in order of arrival.
///
/// A thread starts when work arrives that no idle thread can take. An idle thread ends after some
/// time, or at once if the process has many idle threads: see [`IdleThreads`].
///
/// Each thread is the only worker of its own rayon pool. A run uses a pool of several threads
/// instead if the last run was long and nothing else is queued or running.
///
/// A run cannot be stopped. So if no caller waits for its result any more, the run is *demoted*: it
/// gets the lowest priority, and no longer counts as running. Its thread ends after the run, and
/// another thread takes its place at once. At most as many runs are demoted at the same time as the
/// session has threads; further ones keep their threads until they end.
// With `n` threads, at most `n` runs are demoted beside `n` others. Each of them holds a pool of
// `n` threads at most, so a session has at most n² + 3n threads, and one that demotes.
//
// A run in a pool of one thread needs no handover to another thread. In a pool of several threads,
// every run wakes workers, which steal parts of the run and yield in between. In such a pool, a run
// of 0.1 ms took 35 thread switches. Each yield lost 4 ms while another thread loaded a model.
// While a worker waits for a part of its run, it also starts other, complete runs. These other runs
// delay the worker's own run.
#[derive(Debug)]
pub(crate) struct SessionThreads(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    /// A run has ended, while the demoter waits.
    ended: Condvar,
    threads: NonZeroUsize,
    /// The idle threads of all sessions of the runtime.
    idle_threads: Arc<IdleThreads>,
    /// The duration of the last run, in microseconds.
    last_run: AtomicU64,
}

struct Queue {
    work: VecDeque<Work>,
    runs: Runs,
    /// The number of threads that take work; without those of demoted runs.
    serving: usize,
    /// The number of these threads that do not run yet.
    starting: usize,
    /// The number of these threads that wait for work.
    idle: usize,
    /// Whether a thread demotes abandoned runs and replaces their threads.
    is_demoting: bool,
    /// The pool of several threads for long runs, started at its first use.
    wide_pool: Option<Arc<WidePool>>,
    closed: bool,
}

thread_local! {
    /// The session that this thread works for, and the thread's own pool of one thread.
    static CURRENT: RefCell<Option<(Arc<Shared>, Arc<ThreadPool>)>> = const { RefCell::new(None) };
}

impl SessionThreads {
    /// A session of at most this number of threads. Starts none.
    pub(crate) fn new(threads: NonZeroUsize, idle_threads: Arc<IdleThreads>) -> Self {
        Self(Arc::new(Shared {
            queue: Mutex::new(Queue {
                work: VecDeque::new(),
                runs: Runs::new(threads.get()),
                serving: 0,
                starting: 0,
                idle: 0,
                is_demoting: false,
                wide_pool: None,
                closed: false,
            }),
            arrived: Condvar::new(),
            ended: Condvar::new(),
            threads,
            idle_threads,
            last_run: AtomicU64::new(0),
        }))
    }

    /// Queues `work`. Starts a thread with the priority of the caller if no idle thread can take
    /// the work.
    ///
    /// # Errors
    ///
    /// The work, if the session has no thread, and the system cannot start one.
    pub(crate) fn spawn(&self, work: Work) -> Result<(), Work> {
        let mut queue = self.0.lock();
        queue.work.push_back(work);
        let needs_thread = self.0.reserve_thread(&mut queue);
        drop(queue);
        self.0.arrived.notify_one();
        if needs_thread && !self.0.start_thread() {
            let mut queue = self.0.lock();
            // The last work is that of this call, or of another call that fails in the same way.
            if queue.serving == 0
                && queue.runs.is_empty()
                && let Some(work) = queue.work.pop_back()
            {
                return Err(work);
            }
        }
        Ok(())
    }

    /// Says that no caller waits for the result of the work that runs on `thread`. Returns whether
    /// the run is demoted, at once or within 50 ms.
    ///
    /// The work must not end during this call.
    pub(super) fn abandon(&self, thread: ThreadId) -> bool {
        self.0.abandon(thread)
    }

    /// Queues `work` and waits for its result. Calls `work` with the pool in which the model must
    /// run.
    ///
    /// Runs `work` at once if the caller is one of the session's own threads, or if the system
    /// cannot start a thread.
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
        let queued = self.spawn(Box::new(move || {
            let pool = shared.current_pool();
            // Without a thread, rten runs the model on the thread that calls it.
            let pool = pool.unwrap_or_else(|| Arc::new(ThreadPool::with_num_threads(1)));
            // The receiver below waits for the result, so sending cannot fail.
            let _ = sender.send(catch(|| shared.measure(|| work(pool))));
        }));
        if let Err(work) = queued {
            work();
        }
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
        self.0.ended.notify_all();
    }
}

impl Shared {
    /// Counts one more thread, if the queued work needs it and the session may have it. The caller
    /// starts this thread.
    fn reserve_thread(&self, queue: &mut Queue) -> bool {
        let is_needed = queue.work.len() > queue.idle + queue.starting;
        let is_missing = is_needed && queue.serving < self.threads.get();
        if is_missing {
            queue.serving += 1;
            queue.starting += 1;
        }
        is_missing
    }

    /// Starts a reserved thread, with the priority of the caller. Returns false if the system
    /// cannot.
    fn start_thread(self: &Arc<Self>) -> bool {
        let pool = Arc::new(ThreadPool::with_num_threads(1));
        let (shared, own) = (Arc::clone(self), Arc::clone(&pool));
        let is_started = pool.run(move || {
            // rayon runs this closure on the caller's thread if the pool has no thread.
            let is_worker = rayon::current_thread_index().is_some();
            if is_worker {
                rayon::spawn(move || shared.serve(own));
            }
            is_worker
        });
        if !is_started {
            let mut queue = self.lock();
            queue.serving -= 1;
            queue.starting -= 1;
        }
        is_started
    }

    /// Runs queued work on the calling thread until the queue is closed and empty, or the thread is
    /// replaced or idle.
    fn serve(self: Arc<Self>, pool: Arc<ThreadPool>) {
        CURRENT.set(Some((Arc::clone(&self), pool)));
        let thread = SystemThread::current();
        let mut is_lowered = false;
        self.lock().starting -= 1;
        while let Some(work) = self.next(thread, is_lowered) {
            // The work reports its own panics, and the thread must survive them.
            let _ = catch(work);
            is_lowered |= self.lock().runs.end();
            self.ended.notify_one();
        }
        CURRENT.set(None);
    }

    /// Runs the model, and notes the duration of the run.
    // Queued work need not run the model: a client that has gone leaves work that does nothing.
    fn measure<T>(&self, run: impl FnOnce() -> T) -> T {
        let stopwatch = Stopwatch::start();
        let result = run();
        let took = u64::try_from(stopwatch.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last_run.store(took, Ordering::Relaxed);
        result
    }

    /// Waits for work and begins it. `None` if the thread must end.
    ///
    /// A thread of the lowest priority ends if there is no work, or if another thread takes work.
    /// Until then, it takes work only if no other thread can be started.
    fn next(&self, thread: SystemThread, is_lowered: bool) -> Option<Work> {
        let mut queue = self.lock();
        loop {
            if is_lowered && (queue.serving > 0 || queue.work.is_empty()) {
                // This thread may have been woken in the place of another one.
                self.arrived.notify_one();
                return None;
            }
            let can_begin = !(is_lowered && queue.is_demoting);
            if can_begin && let Some(work) = queue.work.pop_front() {
                queue.runs.begin(thread, is_lowered);
                return Some(work);
            } else if queue.is_over() {
                queue.serving -= usize::from(!is_lowered);
                return None;
            }
            queue = match is_lowered {
                true => {
                    let woken = self.arrived.wait(queue);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
                false => self.wait_idle(queue)?,
            };
        }
    }

    /// Waits until work arrives. `None` if the thread was idle for too long, and must end.
    fn wait_idle<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> Option<MutexGuard<'a, Queue>> {
        queue.idle += 1;
        let time = self.idle_threads.begin();
        let has_no_work = |queue: &mut Queue| queue.work.is_empty() && !queue.closed;
        let waited = self.arrived.wait_timeout_while(queue, time, has_no_work);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        self.idle_threads.end();
        queue.idle -= 1;
        if !queue.work.is_empty() || queue.closed {
            return Some(queue);
        }
        queue.serving -= 1;
        let unused = match queue.serving {
            0 => queue.wide_pool.take(),
            _ => None,
        };
        drop(queue);
        drop(unused);
        None
    }

    /// The pool for a run on the current thread; `None` if that thread does not belong to this
    /// session.
    fn current_pool(&self) -> Option<Arc<ThreadPool>> {
        let own = CURRENT.with_borrow(|current| {
            let (shared, pool) = current.as_ref()?;
            std::ptr::eq(Arc::as_ptr(shared), self).then(|| Arc::clone(pool))
        })?;
        Some(self.wide_pool().map_or(own, |wide| wide.pool()))
    }

    /// The pool of several threads, if the run on the current thread is worth it.
    fn wide_pool(&self) -> Option<Arc<WidePool>> {
        let last_run = Duration::from_micros(self.last_run.load(Ordering::Relaxed));
        if self.threads.get() == 1 || last_run < WORTH_SPREADING {
            return None;
        }
        let mut queue = self.lock();
        if !queue.work.is_empty() || !queue.runs.is_alone() {
            return None;
        }
        if queue.wide_pool.is_none() {
            drop(queue);
            let pool = Arc::new(WidePool::new(self.threads));
            queue = self.lock();
            // The threads of the pool may have inherited the lowest priority.
            if queue.runs.is_demoted() {
                return None;
            }
            queue.wide_pool.get_or_insert(pool);
        }
        let pool = queue.wide_pool.clone()?;
        queue.runs.use_pool(&pool);
        Some(pool)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Whether no more work will ever come.
    fn is_over(&self) -> bool {
        self.closed && self.work.is_empty()
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("work", &self.work.len())
            .field("runs", &self.runs)
            .field("serving", &self.serving)
            .field("idle", &self.idle)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
