//! The judge: decides whether failed runs are the fault of the model or of the requests.

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::executor::{Executor, JobError, infer};
use crate::metrics::ModelMetrics;
use crate::session::{RunError, run};
use crate::status::Loaded;
use crate::tensor::Tensor;
use crate::verdict::Verdict;
use crate::{ModelName, ProbeError};

/// Judges the failed runs of one model by a *judging run*: a run that a working model passes.
///
/// A version with a probe runs its probe. Another version runs the last input that it answered.
/// There is at most one judging run at a time, and at most one a second, for all versions together.
/// So the cost of judging does not depend on the number of failures.
#[derive(Debug)]
pub(crate) struct Judge {
    model: ModelName,
    executor: Arc<dyn Executor>,
    metrics: Arc<ModelMetrics>,
    /// The time limit of a judging run.
    deadline: Duration,
    /// The last judgement. A judging run holds the lock until it ends.
    last: Arc<Mutex<Option<Judgement>>>,
}

/// The occasion of a judging run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A failed run would open the circuit breaker.
    Failure,
    /// The circuit breaker is half-open, and a request is about to be its probe.
    HalfOpen,
}

/// A verdict, its time and its version.
#[derive(Debug)]
struct Judgement {
    version: Weak<Loaded>,
    verdict: Verdict,
    at: Instant,
    /// Alive while the judging run occupies a thread, even after its deadline.
    running: Weak<()>,
}

/// The input of a judging run.
enum Evidence {
    Probe,
    GoodInput(Vec<Tensor>),
}

/// The time for which a verdict holds. Also the least time between two judging runs.
const HOLDS: Duration = Duration::from_secs(1);

impl Judge {
    pub(crate) fn new(
        model: ModelName,
        executor: Arc<dyn Executor>,
        metrics: Arc<ModelMetrics>,
        deadline: Duration,
    ) -> Self {
        Self {
            model,
            executor,
            metrics,
            deadline,
            last: Arc::default(),
        }
    }

    /// Whether a judging run of this version has passed within the last second. Waits for a judging
    /// run under way.
    pub(crate) async fn has_passed(&self, loaded: &Arc<Loaded>) -> bool {
        let last = self.last.lock().await;
        let recent = last.as_ref().and_then(|last| last.holds_for(loaded));
        recent == Some(Verdict::Passed)
    }

    /// The verdict on a version, at most one second old. `None` if the version has neither a probe
    /// nor an answered input.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the wait. A judging run under way continues, and its verdict holds
    /// for other callers.
    pub(crate) async fn judge(&self, loaded: &Arc<Loaded>, occasion: Occasion) -> Option<Verdict> {
        if loaded.probe.is_none() && !loaded.good_input.is_known() {
            return None;
        }
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some(last) = &*last {
            if let Some(verdict) = last.holds_for(loaded) {
                return Some(verdict);
            }
            if last.still_runs(loaded) {
                return Some(Verdict::Failed);
            }
            // Waits out the second of another version's run.
            sleep_until(last.at + HOLDS).await;
        }
        let evidence = Evidence::of(loaded)?;
        let run = JudgingRun {
            model: self.model.clone(),
            executor: Arc::clone(&self.executor),
            metrics: Arc::clone(&self.metrics),
            deadline: self.deadline,
            loaded: Arc::clone(loaded),
            occasion,
        };
        let task = tokio::spawn(async move {
            let judgement = run.judge(evidence).await;
            let verdict = judgement.as_ref().map(|judgement| judgement.verdict);
            if let Some(judgement) = judgement {
                *last = Some(judgement);
            }
            verdict
        });
        // The task ends without a result only if the server's Tokio runtime shuts down.
        let verdict = task.await.ok().flatten();
        Some(verdict.unwrap_or(Verdict::Undecided))
    }
}

impl Judgement {
    /// The verdict if it is about this version and at most one second old.
    fn holds_for(&self, loaded: &Arc<Loaded>) -> Option<Verdict> {
        let holds = self.at.elapsed() <= HOLDS && self.concerns(loaded);
        holds.then_some(self.verdict)
    }

    /// Whether the judging run of this version has passed its deadline and still has not ended.
    fn still_runs(&self, loaded: &Arc<Loaded>) -> bool {
        self.running.strong_count() > 0 && self.concerns(loaded)
    }

    fn concerns(&self, loaded: &Arc<Loaded>) -> bool {
        std::ptr::eq(self.version.as_ptr(), Arc::as_ptr(loaded))
    }
}

/// One judging run.
struct JudgingRun {
    model: ModelName,
    executor: Arc<dyn Executor>,
    metrics: Arc<ModelMetrics>,
    deadline: Duration,
    loaded: Arc<Loaded>,
    occasion: Occasion,
}

impl JudgingRun {
    /// Runs the model, counts the outcome and logs it. Returns `None` if the run did not start.
    async fn judge(self, evidence: Evidence) -> Option<Judgement> {
        let by = evidence.name();
        let running = Arc::new(());
        let still_runs = Arc::downgrade(&running);
        let outcome = self.run(evidence, running).await;
        let verdict = match &outcome {
            Some(Ok(())) => Verdict::Passed,
            Some(Err(_)) => Verdict::Failed,
            None => Verdict::Undecided,
        };
        self.metrics.judged(verdict);
        let (model, version) = (&self.model, self.loaded.version());
        match (outcome?, self.occasion) {
            (Ok(()), Occasion::Failure) => {
                tracing::warn!(%model, %version, by, "the failures are the requests' fault: the model passes")
            }
            (Ok(()), Occasion::HalfOpen) => {
                tracing::info!(%model, %version, by, "the model passes: requests try the half-open circuit breaker")
            }
            (Err(detail), _) => {
                tracing::error!(%model, %version, by, detail, "the failures are the model's fault: it fails its judging run")
            }
        }
        Some(Judgement {
            version: Arc::downgrade(&self.loaded),
            verdict,
            at: Instant::now(),
            running: still_runs,
        })
    }

    /// Runs the model within the deadline, which begins when the run begins. Returns `None` if the
    /// run did not begin within the deadline. The error says how the model failed.
    // Time in a queue says nothing about the model.
    async fn run(&self, evidence: Evidence, running: Arc<()>) -> Option<Result<(), String>> {
        let (begin, began) = oneshot::channel();
        let work = {
            let loaded = Arc::clone(&self.loaded);
            move || {
                let _running = running;
                // An error means that the judge stopped waiting.
                begin.send(()).ok()?;
                evidence.run(&loaded)
            }
        };
        let mut job = pin!(infer(&*self.executor, &self.model, &self.loaded, work));
        let outcome = tokio::select! {
            biased;
            outcome = &mut job => outcome,
            _ = began => match timeout(self.deadline, job).await {
                Ok(outcome) => outcome,
                Err(_) => return Some(Err(format!("no answer within {:?}", self.deadline))),
            },
            () = sleep(self.deadline) => return None,
        };
        match outcome {
            Ok(outcome) => outcome,
            Err(JobError::Panicked(panic)) => Some(Err(panic)),
            Err(_) => None,
        }
    }
}

impl Evidence {
    fn of(loaded: &Loaded) -> Option<Self> {
        match loaded.probe {
            Some(_) => Some(Self::Probe),
            None => loaded.good_input.get().map(Self::GoodInput),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::GoodInput(_) => "last good input",
        }
    }

    /// Runs the model. The error never shows a value of a client's input. `None` if the run says
    /// nothing about the model.
    fn run(self, loaded: &Loaded) -> Option<Result<(), String>> {
        match (self, &loaded.probe) {
            (Self::Probe, None) => Some(Ok(())),
            (Self::Probe, Some(probe)) => match probe.run(&*loaded.session) {
                Err(ProbeError::Run(error)) if error.is_from_outside() => None,
                outcome => Some(outcome.map_err(|error| error.to_string())),
            },
            (Self::GoodInput(inputs), _) => match run(&*loaded.session, inputs) {
                Err(error) if error.is_from_outside() => None,
                outcome => Some(outcome.map(drop).map_err(|error| kind(&error).to_owned())),
            },
        }
    }
}

/// The kind of an error, without its values.
const fn kind(error: &RunError) -> &'static str {
    match error {
        RunError::Refused { .. } => "the model refused the input",
        RunError::Failed(_) => "the model failed with an error",
        RunError::Panicked(_) => "the model panicked",
        RunError::UnexpectedOutput { .. } | RunError::UnexpectedRank { .. } => {
            "an output differs from its declaration"
        }
        RunError::NotFinite { .. } => "an output is not finite",
        RunError::OutOfMemory(_) => "the model ran out of memory",
        RunError::WorkerDied { .. } => "the worker of the model died",
    }
}
