//! Executors run blocking jobs, such as verification, loading and inference.

mod job;
mod waiting;

use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::Semaphore;

pub use self::job::{Job, JobKind};
pub(crate) use self::waiting::{JobError, execute, infer, infer_within};

/// The executor is full, so it dropped the job without running it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("too many concurrent requests")]
pub struct Overloaded;

/// Runs jobs. Use a [`BlockingPool`] in production, and [`Inline`] under virtual time. An executor
/// that wraps another one can count, delay or refuse jobs.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use clarity::{Executor, Inline, Job, JobKind, Overloaded};
///
/// /// Counts inferences.
/// #[derive(Debug, Default)]
/// struct CountingExecutor(AtomicUsize);
///
/// impl Executor for CountingExecutor {
///     fn execute(&self, job: Job) -> Result<(), Overloaded> {
///         if job.kind() == JobKind::Inference {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///         Inline.execute(job)
///     }
/// }
/// ```
pub trait Executor: fmt::Debug + Send + Sync + 'static {
    /// Runs the job ([`Job::run`]) now or later. The server calls this method on a task of a Tokio
    /// runtime. A job that has left the queue ([`Job::has_left`]) need not be run.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] when the executor is full. Only jobs of the kind [`JobKind::Inference`] may
    /// be refused for a long time. A server whose loads are always refused would never recover.
    fn execute(&self, job: Job) -> Result<(), Overloaded>;

    /// Whether a job of this kind would be accepted now. Reserves no room for the job. An executor
    /// that wraps another one should forward this call.
    // A server calls this method before it reads a request body. If the executor is full, the
    // server does not read the body.
    fn has_room(&self, kind: JobKind) -> bool {
        let _ = kind;
        true
    }
}

/// Runs inferences on the threads of the model's session, and other jobs on Tokio's blocking pool.
/// Limits the number of concurrent inferences.
///
/// An inference counts towards this limit until it ends or leaves the queue. Once it runs, it
/// counts even if its caller has stopped waiting, because it occupies a thread. Other limits apply
/// to other jobs. Each model has at most one scan at a time, and each server has at most one scrub.
/// [`ReloadConfig::parallel`](crate::ReloadConfig::parallel) limits loads, and
/// [`Config::memory_limit`](crate::Config::memory_limit) limits transcoding.
#[derive(Clone, Debug)]
pub struct BlockingPool {
    inferences: Arc<Semaphore>,
}

impl BlockingPool {
    /// The default limit of concurrent inferences.
    pub const DEFAULT_INFERENCES: usize = 64;

    /// Creates a pool that runs at most `inferences` inferences at the same time; 0 counts as 1.
    /// Tokio's limit of blocking threads (512 by default) should be well above `inferences`.
    pub fn new(inferences: usize) -> Self {
        let inferences = inferences.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            inferences: Arc::new(Semaphore::new(inferences)),
        }
    }
}

impl Default for BlockingPool {
    fn default() -> Self {
        Self::new(Self::DEFAULT_INFERENCES)
    }
}

impl Executor for BlockingPool {
    fn execute(&self, job: Job) -> Result<(), Overloaded> {
        let permit = match job.kind() {
            JobKind::Inference => Some(
                Arc::clone(&self.inferences)
                    .try_acquire_owned()
                    .map_err(|_| Overloaded)?,
            ),
            JobKind::Scan | JobKind::Load | JobKind::Scrub | JobKind::Transcode => None,
        };
        job.spawn(move || drop(permit));
        Ok(())
    }

    fn has_room(&self, kind: JobKind) -> bool {
        kind != JobKind::Inference || self.inferences.available_permits() > 0
    }
}

/// Runs each job immediately, on the calling task. For tests only: a running job blocks the calling
/// Tokio thread, and all tasks on that thread.
// No other thread takes part, so the order of the jobs is deterministic. On a blocking thread, a
// job would stop virtual time until it ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Executor for Inline {
    fn execute(&self, job: Job) -> Result<(), Overloaded> {
        job.run();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::Poll;

    use super::*;

    async fn infer<T: Send + 'static>(
        executor: &dyn Executor,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobError> {
        execute(executor, JobKind::Inference, None, work).await
    }

    #[tokio::test]
    async fn inline_runs_on_the_calling_thread() {
        let here = std::thread::current().id();
        let there = infer(&Inline, || std::thread::current().id())
            .await
            .unwrap();
        assert_eq!(here, there);
    }

    #[tokio::test]
    async fn pool_over_its_limit_refuses_until_work_ends() {
        let pool = BlockingPool::new(1);
        let (release, released) = std::sync::mpsc::channel::<()>();
        let busy = tokio::spawn({
            let pool = pool.clone();
            async move { infer(&pool, move || released.recv()).await.unwrap() }
        });
        while pool.inferences.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(
            infer(&pool, || ()).await,
            Err(JobError::Overloaded(_))
        ));
        assert!(
            execute(&pool, JobKind::Load, None, || ()).await.is_ok(),
            "loads are not refused"
        );
        release.send(()).unwrap();
        busy.await.unwrap().unwrap();
        while infer(&pool, || ()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn abandoned_inference_counts_until_it_ends() {
        let pool = BlockingPool::new(1);
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = std::sync::mpsc::channel();
        let waiting = infer(&pool, move || {
            begin.send(()).unwrap();
            released.recv()
        });
        let waiting = queued(waiting).await;
        begun.recv().unwrap();
        drop(waiting);
        assert!(matches!(
            infer(&pool, || ()).await,
            Err(JobError::Overloaded(_))
        ));
        release.send(()).unwrap();
        while infer(&pool, || ()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    /// Polls `future` once. It must not be ready.
    async fn queued<F: Future>(future: F) -> Pin<Box<F>> {
        let mut future = Box::pin(future);
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
        assert!(!polled, "the result waits for the test");
        future
    }

    #[test]
    fn abandoned_work_in_the_queue_frees_its_place_and_never_runs() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let pool = BlockingPool::new(2);
            let (release, released) = std::sync::mpsc::channel::<()>();
            let busy = queued(infer(&pool, move || released.recv())).await;
            let memory = Arc::new(());
            let (held, other) = (Arc::clone(&memory), Arc::clone(&memory));
            let abandoned = queued(infer(&pool, move || unreachable!("{held:?}"))).await;
            let work = move || unreachable!("{other:?}");
            let transcode = queued(execute(&pool, JobKind::Transcode, None, work)).await;
            assert!(!pool.has_room(JobKind::Inference));
            drop((abandoned, transcode));
            assert!(pool.has_room(JobKind::Inference));
            assert_eq!(Arc::strong_count(&memory), 1, "the work holds its memory");
            let (ran, has_run) = std::sync::mpsc::channel();
            let own = queued(execute(&pool, JobKind::Scrub, None, move || ran.send(()))).await;
            drop(own);
            release.send(()).unwrap();
            busy.await.unwrap().unwrap();
            infer(&pool, || ()).await.unwrap();
            has_run.recv().expect("the server's own work runs");
        });
    }

    #[tokio::test]
    async fn panicked_and_dropped_jobs_are_distinct_errors() {
        #[derive(Debug)]
        struct DroppingExecutor;
        impl Executor for DroppingExecutor {
            fn execute(&self, _: Job) -> Result<(), Overloaded> {
                Ok(())
            }
        }
        let panicked = infer(&Inline, || -> () { panic!("boom") }).await;
        assert!(matches!(panicked, Err(JobError::Panicked(message)) if message == "boom"));
        assert!(matches!(
            infer(&DroppingExecutor, || ()).await,
            Err(JobError::Dropped)
        ));
    }
}
