//! Where work that blocks is done: verification, loading, inference.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{Semaphore, oneshot};

use crate::panics::catch;
use crate::status::Loaded;
use crate::{ModelName, Work};

/// What a [`Job`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobKind {
    /// Looks at names, sizes and times on disk.
    Scan,
    /// Reads, verifies, loads and warms up one version.
    Load,
    /// Reads a little of what is on disk again.
    Scrub,
    /// Runs a model once.
    Inference,
    /// Reads the tensors of a large request, or writes a large answer.
    Transcode,
}

/// A piece of work that blocks, to be run once. A job that is dropped instead is reported as such to who waits for it.
pub struct Job {
    kind: JobKind,
    model: Option<ModelName>,
    /// What it runs, if that is what it does.
    runs: Option<Arc<Loaded>>,
    work: Work,
}

impl Job {
    /// What it does.
    pub fn kind(&self) -> JobKind {
        self.kind
    }

    /// The model it is for; none for a scan of the whole store.
    pub fn model(&self) -> Option<&ModelName> {
        self.model.as_ref()
    }

    /// Does it, on the calling thread. Does not panic: a panic of the work is handed to who waits for it.
    pub fn run(self) {
        (self.work)();
    }

    /// Has it done, and `then` what comes after it, on another thread: one of the model's own if it has any
    /// ([`Session::spawn`](crate::Session::spawn)), else one of Tokio's for work that blocks.
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

/// There is no room for another job now. The job was dropped.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the server has as much to do as it may")]
pub struct Overloaded;

/// Runs jobs: [`BlockingPool`] in production, [`Inline`] under virtual time, or a wrapper of one that counts, delays
/// or refuses them.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use clarity::{Executor, Inline, Job, JobKind, Overloaded};
///
/// /// Counts inferences.
/// #[derive(Debug, Default)]
/// struct Counting(AtomicUsize);
///
/// impl Executor for Counting {
///     fn execute(&self, job: Job) -> Result<(), Overloaded> {
///         if job.kind() == JobKind::Inference {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///         Inline.execute(job)
///     }
/// }
/// ```
pub trait Executor: fmt::Debug + Send + Sync + 'static {
    /// Runs the job ([`Job::run`]) now, or makes sure that it is run later. Called on a task of a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] when there is no room for it. Only [`JobKind::Inference`] may be refused for long: a server
    /// without room to load would never recover.
    fn execute(&self, job: Job) -> Result<(), Overloaded>;

    /// Whether a job of this kind would be taken now. A server asks before it reads the body of a request, so that it
    /// does not read in vain what it will refuse; by then the answer may be another. A wrapper should pass it on.
    fn has_room(&self, kind: JobKind) -> bool {
        let _ = kind;
        true
    }
}

/// Runs inferences on the threads of the model and other jobs on Tokio's threads for blocking work; refuses inferences
/// over a bound.
///
/// The place of an inference is free again when it ends, not when its caller stops waiting: a thread that cannot be
/// stopped is still in use. The others have no bound here: there is one scan at a time for each model, one scrub at a time, and no more
/// loads than [`ReloadConfig::parallel`](crate::ReloadConfig::parallel); the bodies that are transcoded at a time are bounded by
/// [`Config::memory_limit`](crate::Config::memory_limit).
#[derive(Clone, Debug)]
pub struct BlockingPool {
    inferences: Arc<Semaphore>,
}

impl BlockingPool {
    /// The bound where nothing else is asked for.
    pub const DEFAULT_INFERENCES: usize = 64;

    /// A pool that takes up to `inferences` at a time, clamped to 1 or more. Tokio's own limit (512 threads by default)
    /// should be well above that.
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
        let place = match job.kind() {
            JobKind::Inference => Some(
                Arc::clone(&self.inferences)
                    .try_acquire_owned()
                    .map_err(|_| Overloaded)?,
            ),
            JobKind::Scan | JobKind::Load | JobKind::Scrub | JobKind::Transcode => None,
        };
        job.spawn(move || drop(place));
        Ok(())
    }

    fn has_room(&self, kind: JobKind) -> bool {
        kind != JobKind::Inference || self.inferences.available_permits() > 0
    }
}

/// Runs each job at once, on the task that asks: nothing is left to the scheduler, and no real thread holds virtual
/// time back. For tests; a job blocks its whole runtime thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Executor for Inline {
    fn execute(&self, job: Job) -> Result<(), Overloaded> {
        job.run();
        Ok(())
    }
}

/// Why a job gave no result.
#[derive(Debug, Error)]
pub(crate) enum JobError {
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    #[error("the work panicked: {0}")]
    Panicked(String),
    #[error("the executor dropped the work")]
    Dropped,
}

/// Runs `work` on `executor` and waits for its result.
///
/// # Cancel safety
///
/// Dropping the future stops the waiting and not the work; its result is dropped.
pub(crate) async fn execute<T: Send + 'static>(
    executor: &dyn Executor,
    kind: JobKind,
    model: Option<&ModelName>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JobError> {
    submit(executor, kind, model.cloned(), None, work).await
}

/// The same for work that runs `loaded`, on its threads if the executor likes.
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
        // Nobody waits any more when it cannot be sent.
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
    async fn inline_runs_on_the_calling_thread_without_waiting() {
        let here = std::thread::current().id();
        let there = infer(&Inline, || std::thread::current().id())
            .await
            .unwrap();
        assert_eq!(here, there);
    }

    #[tokio::test]
    async fn the_pool_refuses_what_is_over_its_bound_and_has_room_again_when_work_ends() {
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
    async fn an_abandoned_inference_keeps_its_place_until_it_ends() {
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
    async fn a_panic_and_a_dropped_job_are_told_apart() {
        #[derive(Debug)]
        struct Dropping;
        impl Executor for Dropping {
            fn execute(&self, _: Job) -> Result<(), Overloaded> {
                Ok(())
            }
        }
        let panicked = infer(&Inline, || -> () { panic!("boom") }).await;
        assert!(matches!(panicked, Err(JobError::Panicked(message)) if message == "boom"));
        assert!(matches!(
            infer(&Dropping, || ()).await,
            Err(JobError::Dropped)
        ));
    }
}
