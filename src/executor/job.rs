//! Jobs: blocking work for an executor.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::ModelName;
use crate::run_queue::{Departure, QueuedWork};
use crate::status::Loaded;

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
///
/// A job is queued until it begins to run. Jobs for one request, which are inferences and
/// transcoding, leave the queue without a run once nobody waits for their result. An inference also
/// leaves if too little time is left until its deadline. A job that leaves frees its memory at
/// once.
pub struct Job {
    kind: JobKind,
    model: Option<ModelName>,
    /// The loaded model that an inference runs; `None` for other jobs.
    runs: Option<Arc<Loaded>>,
    work: Arc<QueuedWork>,
    /// Whether the queue of the loaded model holds the work, too.
    is_shared: bool,
}

impl Job {
    pub(super) fn new(
        kind: JobKind,
        model: Option<ModelName>,
        runs: Option<Arc<Loaded>>,
        work: Arc<QueuedWork>,
    ) -> Self {
        Self {
            kind,
            model,
            runs,
            work,
            is_shared: false,
        }
    }

    /// The kind of the job.
    pub fn kind(&self) -> JobKind {
        self.kind
    }

    /// The model of the job; `None` for a scan of the whole store.
    pub fn model(&self) -> Option<&ModelName> {
        self.model.as_ref()
    }

    /// Whether the job has left the queue, so that [`run`](Self::run) does nothing.
    ///
    /// An executor with a queue of its own can drop such a job at any time. It should do so before
    /// it refuses another job:
    ///
    /// ```
    /// use std::sync::{Mutex, PoisonError};
    /// use clarity::{Executor, Job, Overloaded};
    ///
    /// /// Keeps at most 8 jobs for another thread.
    /// #[derive(Debug, Default)]
    /// struct BoundedQueue(Mutex<Vec<Job>>);
    ///
    /// impl Executor for BoundedQueue {
    ///     fn execute(&self, job: Job) -> Result<(), Overloaded> {
    ///         let mut queued = self.0.lock().unwrap_or_else(PoisonError::into_inner);
    ///         queued.retain(|job| !job.has_left());
    ///         if queued.len() >= 8 {
    ///             return Err(Overloaded);
    ///         }
    ///         queued.push(job);
    ///         Ok(())
    ///     }
    /// }
    /// ```
    pub fn has_left(&self) -> bool {
        self.work.departure().is_some()
    }

    /// Runs the job on the calling thread, unless it has left the queue. Never panics: if the work
    /// panics, the code that waits for the result gets an error.
    pub fn run(self) {
        match &self.runs {
            Some(loaded) => {
                if let Some(work) = loaded.queue.begin(&self.work) {
                    loaded.queue.run(work);
                }
            }
            None => {
                if let Some(work) = self.work.begin(Duration::ZERO) {
                    work.run();
                }
            }
        }
    }

    /// Runs the job on another thread, then calls `then` on that thread. An inference runs on a
    /// thread of the model's session if the session has threads
    /// ([`Session::spawn`](crate::Session::spawn)). Any other job runs on Tokio's blocking pool.
    ///
    /// If the job leaves the queue, `then` is called at that moment, possibly on a thread of the
    /// Tokio runtime. So `then` must not block.
    ///
    /// # Panics
    ///
    /// When called outside of a Tokio runtime.
    pub fn spawn(mut self, then: impl FnOnce() + Send + 'static) {
        if !self.work.set_then(Box::new(then)) {
            return;
        }
        let Some(loaded) = self.runs.clone() else {
            tokio::task::spawn_blocking(move || self.run());
            return;
        };
        self.is_shared = true;
        if loaded.queue.push(Arc::clone(&self.work)) {
            let turn = Turn(Some(Arc::clone(&loaded)));
            if let Err(turn) = loaded.session.spawn(Box::new(move || turn.run())) {
                tokio::task::spawn_blocking(turn);
            }
        }
        // If the work left before the push, nobody else removes it from the queue.
        if self.has_left() {
            loaded.queue.remove(&self.work);
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.is_shared {
            self.work.leave(Departure::Dropped);
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

/// One turn of a version's queue, on a thread of its session; `None` once it is used up.
struct Turn(Option<Arc<Loaded>>);

impl Turn {
    fn run(mut self) {
        if let Some(loaded) = self.0.take()
            && let Some(work) = loaded.queue.take_turn()
        {
            loaded.queue.run(work);
        }
    }
}

impl Drop for Turn {
    /// Drops the work of the turn if the session dropped the turn.
    fn drop(&mut self) {
        if let Some(loaded) = self.0.take() {
            loaded.queue.drop_turn();
        }
    }
}
