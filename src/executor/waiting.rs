//! The wait for the result of a job.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::error::Elapsed;
use tokio::time::timeout_at;

use super::{Executor, Job, JobKind, Overloaded};
use crate::metrics::ModelMetrics;
use crate::panics::catch;
use crate::run_queue::{Deadline, Departure, QueuedWork};
use crate::status::Loaded;
use crate::{ModelName, Reason};

/// The reason why a job returned no result.
#[derive(Debug, Error)]
pub(crate) enum JobError {
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    #[error("the deadline passed before the model could begin with the request")]
    Expired,
    #[error("the runs of the model do not end, and no thread is left for the request")]
    Stalled,
    #[error("the work panicked: {0}")]
    Panicked(String),
    #[error("the executor dropped the work")]
    Dropped,
}

/// Runs `work` on `executor` and waits for the result.
///
/// # Cancel safety
///
/// Dropping the future drops the result. An inference or a transcoding job that has not begun
/// leaves the queue. An inference that has begun continues, but its session can let other work run
/// before it. Work of other kinds continues.
pub(crate) async fn execute<T: Send + 'static>(
    executor: &dyn Executor,
    kind: JobKind,
    model: Option<&ModelName>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JobError> {
    let (job, mut waiting) = Waiting::new(kind, model.cloned(), None, None, work);
    executor.execute(job)?;
    waiting.result().await
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
    let (job, mut waiting) = Waiting::new(kind, Some(model.clone()), runs, None, work);
    executor.execute(job)?;
    waiting.result().await
}

/// Like [`infer`], with a time limit for the wait in the queue and the run together. Counts
/// requests that leave the queue in `metrics`.
///
/// Returns [`Elapsed`] only if the work had begun. If the deadline passes in the queue, the work
/// never runs, and the error is [`JobError::Expired`].
pub(crate) async fn infer_within<T: Send + 'static>(
    limit: Duration,
    executor: &dyn Executor,
    loaded: &Arc<Loaded>,
    (model, metrics): (&ModelName, &Arc<ModelMetrics>),
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Result<T, JobError>, Elapsed> {
    // A request of a model that hangs would only take the place of a request to another model.
    let Some(ended) = loaded.queue.ended() else {
        return Ok(Err(JobError::Stalled));
    };
    let (kind, runs) = (JobKind::Inference, Some(Arc::clone(loaded)));
    let deadline = Deadline::after(limit);
    let ends = deadline.at();
    let (job, mut waiting) = Waiting::new(kind, Some(model.clone()), runs, Some(deadline), work);
    if let Err(overloaded) = executor.execute(job) {
        return Ok(Err(overloaded.into()));
    }
    waiting.metrics = Some(Arc::clone(metrics));
    let outcome = timeout_at(ends, waiting.result()).await;
    let outcome = match outcome {
        Err(elapsed) if !waiting.leave_late() => return Err(elapsed),
        Err(_) => Err(JobError::Expired),
        Ok(outcome) => outcome,
    };
    if matches!(outcome, Err(JobError::Expired)) {
        metrics.left_queue(Reason::Overloaded);
        if loaded.queue.expired_since(ended) {
            let version = loaded.version();
            let detail = "no run has ended for the time of a deadline: \
                requests are refused until one ends";
            tracing::warn!(%model, %version, detail, "the model does not answer");
        }
    }
    Ok(outcome)
}

/// The caller's side of a job. If this value is dropped, work for one request leaves the queue. If
/// the work has begun, it is abandoned.
struct Waiting<T> {
    kind: JobKind,
    loaded: Option<Arc<Loaded>>,
    work: Arc<QueuedWork>,
    result: oneshot::Receiver<Result<T, String>>,
    /// Counts the departure of a request whose client has gone.
    metrics: Option<Arc<ModelMetrics>>,
}

impl<T: Send + 'static> Waiting<T> {
    fn new(
        kind: JobKind,
        model: Option<ModelName>,
        loaded: Option<Arc<Loaded>>,
        deadline: Option<Deadline>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> (Job, Self) {
        let (sender, result) = oneshot::channel();
        let work = Box::new(move || {
            // An error means that the caller stopped waiting.
            let _ = sender.send(catch(work));
        });
        let work = Arc::new(QueuedWork::new(work, deadline));
        let job = Job::new(kind, model, loaded.clone(), Arc::clone(&work));
        let waiting = Self {
            kind,
            loaded,
            work,
            result,
            metrics: None,
        };
        (job, waiting)
    }

    async fn result(&mut self) -> Result<T, JobError> {
        match (&mut self.result).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => Err(JobError::Panicked(panic)),
            Err(_) => match self.work.departure() {
                Some(Departure::Late) => Err(JobError::Expired),
                _ => Err(JobError::Dropped),
            },
        }
    }
}

impl<T> Waiting<T> {
    /// Leaves the queue because of the deadline. Returns false if the work has begun.
    fn leave_late(&self) -> bool {
        self.leave(Departure::Late);
        self.work.departure().is_some()
    }

    fn leave(&self, departure: Departure) -> bool {
        let left = self.work.leave(departure);
        if let Some(loaded) = self.loaded.as_ref().filter(|_| left) {
            loaded.queue.remove(&self.work);
        }
        left
    }
}

impl<T> Drop for Waiting<T> {
    // The other jobs are the server's own. A mark of a bad version, for example, must be written
    // even while the server stops.
    fn drop(&mut self) {
        if !matches!(self.kind, JobKind::Inference | JobKind::Transcode) {
            return;
        }
        if self.leave(Departure::Abandoned) {
            if let Some(metrics) = &self.metrics {
                metrics.left_queue(Reason::Cancelled);
            }
        } else if let Some(loaded) = &self.loaded
            && matches!(self.result.try_recv(), Err(TryRecvError::Empty))
        {
            loaded.queue.abandon(&self.work, &*loaded.session);
        }
    }
}
