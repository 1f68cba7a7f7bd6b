//! Executors run blocking jobs, such as verification, loading and inference.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{Semaphore, oneshot};

use crate::panics::catch;
use crate::status::Loaded;
use crate::{ModelName, Work};

/// The kind of a [`Job`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobKind {
    /// Lists files on disk, with their sizes and modification times.
    Scan,
    /// Reads, verifies, loads and warms up one version.
    Load,
    /// Re-reads a part of the files on disk to find damage.
    Scrub,
    /// Runs a model once.
    Inference,
    /// Parses the tensors of a large request, or serializes a large answer.
    Transcode,
}

/// Blocking work that runs once. If an executor drops the job, the code that waits for the result
/// gets an error.
pub struct Job {
    kind: JobKind,
    model: Option<ModelName>,
    /// The loaded model that an inference runs; `None` for other jobs.
    runs: Option<Arc<Loaded>>,
    work: Work,
}

impl Job {
    /// The kind of the job.
    pub fn kind(&self) -> JobKind {
        self.kind
    }

    /// The model of the job; `None` for a scan of the whole store.
    pub fn model(&self) -> Option<&ModelName> {
        self.model.as_ref()
    }

    /// Runs the job on the calling thread. Never panics: if the work panics, the code that waits
    /// for the result gets an error.
    pub fn run(self) {
        (self.work)();
    }

    /// Runs the job on another thread, then calls `then` on that thread. An inference runs on a
    /// thread of the model's session if the session has threads
    /// ([`Session::spawn`](crate::Session::spawn)). Any other job runs on Tokio's blocking pool.
    ///
    /// # Panics
    ///
    /// When called outside of a Tokio runtime.
    pub fn spawn(self, then: impl FnOnce() + Send + 'static) {
        let Self { runs, work, .. } = self;
        let work = Box::new(move || {
            work();
            then();
        });
        let refused = match &runs {
            Some(loaded) => loaded.session.spawn(work).err(),
            None => Some(work as Work),
        };
        if let Some(work) = refused {
            tokio::task::spawn_blocking(work);
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("kind", &self.kind)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

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
    /// runtime.
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
/// An inference counts towards this limit until it ends, because it occupies a thread. It counts
/// even if its caller has stopped waiting. Other limits apply to other jobs. Each model has at most
/// one scan at a time, and each server has at most one scrub.
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

/// The reason why a job returned no result.
#[derive(Debug, Error)]
pub(crate) enum JobError {
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    #[error("the work panicked: {0}")]
    Panicked(String),
    #[error("the executor dropped the work")]
    Dropped,
}

/// Runs `work` on `executor` and waits for the result.
///
/// # Cancel safety
///
/// Dropping the future drops the result, but the work continues.
pub(crate) async fn execute<T: Send + 'static>(
    executor: &dyn Executor,
    kind: JobKind,
    model: Option<&ModelName>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JobError> {
    submit(executor, kind, model.cloned(), None, work).await
}

/// Like [`execute`], but for work that runs the model `loaded`. The executor can run such work on
/// the threads of the model's session.
pub(crate) async fn infer<T: Send + 'static>(
    executor: &dyn Executor,
    model: &ModelName,
    loaded: &Arc<Loaded>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JobError> {
    let (kind, runs) = (JobKind::Inference, Some(Arc::clone(loaded)));
    submit(executor, kind, Some(model.clone()), runs, work).await
}

async fn submit<T: Send + 'static>(
    executor: &dyn Executor,
    kind: JobKind,
    model: Option<ModelName>,
    runs: Option<Arc<Loaded>>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JobError> {
    let (sender, receiver) = oneshot::channel();
    let work = Box::new(move || {
        // An error means that the caller stopped waiting.
        let _ = sender.send(catch(work));
    });
    executor.execute(Job {
        kind,
        model,
        runs,
        work,
    })?;
    match receiver.await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(panic)) => Err(JobError::Panicked(panic)),
        Err(_) => Err(JobError::Dropped),
    }
}

#[cfg(test)]
mod tests {
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
        let waiting = infer(&pool, move || released.recv());
        tokio::select! {
            biased;
            _ = waiting => unreachable!("it waits to be released"),
            () = std::future::ready(()) => {}
        }
        assert!(matches!(
            infer(&pool, || ()).await,
            Err(JobError::Overloaded(_))
        ));
        release.send(()).unwrap();
        while infer(&pool, || ()).await.is_err() {
            tokio::task::yield_now().await;
        }
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
