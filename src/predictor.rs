//! One model as a request sees it: what answers, behind its circuit breaker and a deadline.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use clarity_breaker::{Breaker, BreakerState, Rejected};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::executor::{Executor, JobError, JobKind, Overloaded, infer};
use crate::metrics::ModelMetrics;
use crate::sanitize::sanitize_for_log;
use crate::session::{RunError, run};
use crate::status::{Loaded, ModelState};
use crate::stopwatch::Stopwatch;
use crate::{BreakerSnapshot, ModelName, ModelStatus, Reason, Tensor, Version, VersionStatus};

/// How long a client should wait that came when the server had too much to do.
pub(crate) const OVERLOAD_RETRY: Duration = Duration::from_secs(1);

/// Answers for one model.
#[derive(Debug)]
pub(crate) struct Predictor {
    pub(crate) model: ModelName,
    pub(crate) state: watch::Receiver<ModelState>,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) metrics: Arc<ModelMetrics>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) deadline: Duration,
    /// Nothing answers because that was asked for.
    pub(crate) unloaded: bool,
}

/// Why a request has no answer, in all that is told of it: the status, the body, the metric, the log.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) retry_after: Option<Duration>,
}

/// What answers a request, and whether it is less than it should be.
pub(crate) struct Serving {
    pub(crate) loaded: Arc<Loaded>,
    pub(crate) degraded: Option<Reason>,
}

impl Predictor {
    pub(crate) fn status(&self) -> Arc<ModelStatus> {
        Arc::clone(&self.state.borrow().status)
    }

    /// Whether it has been looked at, and there never was a version.
    pub(crate) fn is_vacant(&self) -> bool {
        let state = self.state.borrow();
        state.vacant && state.status.attempts > 0
    }

    /// The versions that answer, the oldest first.
    pub(crate) fn versions(&self) -> Vec<Version> {
        let state = self.state.borrow();
        let first = state.loaded.iter().map(|loaded| loaded.version());
        let mut versions: Vec<Version> = first.chain(state.others.keys().copied()).collect();
        versions.sort();
        versions
    }

    pub(crate) fn breaker(&self) -> BreakerSnapshot {
        self.breaker.snapshot()
    }

    /// What answers for `version`, or for the newest good one if none is asked for.
    pub(crate) fn serving(&self, version: Option<Version>) -> Result<Serving, Failure> {
        if self.unloaded {
            let detail = "the model was unloaded on request, and answers when it is loaded again";
            return Err(Failure::new(Reason::ModelUnloaded, detail));
        }
        // Held for as long as it takes to look at it, which waits for nobody.
        let state = self.state.borrow();
        let status = &state.status;
        if let Some(loaded) = version.and_then(|version| state.others.get(&version)) {
            return Ok(Serving {
                loaded: Arc::clone(loaded),
                degraded: None,
            });
        }
        let newest = |loaded: &Arc<Loaded>| Serving {
            loaded: Arc::clone(loaded),
            degraded: status.degraded,
        };
        match (&state.loaded, version) {
            (Some(loaded), None) => Ok(newest(loaded)),
            (Some(loaded), Some(version)) if loaded.version() == version => Ok(newest(loaded)),
            (_, Some(version)) => Err(not_served(status, version)),
            (None, None) => Err(unavailable(status)),
        }
    }

    /// Whether requests for `version`, or for the newest good one, are answered. A breaker that has opened by itself does
    /// not count: it closes by requests alone, and an unready model would get none. One that an operator has opened lets
    /// none through whatever they ask.
    pub(crate) fn ready(&self, version: Option<Version>) -> Result<(), Failure> {
        self.serving(version)?;
        match self.breaker().state {
            BreakerState::ForcedOpen => {
                let detail = rejection(BreakerState::ForcedOpen);
                Err(Failure::new(Reason::CircuitOpen, detail))
            }
            _ => Ok(()),
        }
    }

    /// Whether the breaker would let a run pass now, as far as that is known before it is asked for one.
    pub(crate) fn is_let_through(&self) -> Result<(), Failure> {
        self.breaker.reject_if_open().map_err(rejected)
    }

    /// Whether a run would be taken now. Asked before a body is read, so that it is not read in vain; what is asked then
    /// has no claim, since a client that sends slowly could otherwise hold a place without using it.
    pub(crate) fn has_room(&self) -> Result<(), Failure> {
        match self.executor.has_room(JobKind::Inference) {
            true => Ok(()),
            false => Err(JobError::Overloaded(Overloaded).into_failure()),
        }
    }

    /// Runs what answers once, if the breaker admits it. `memory` is what the inputs take, and is held for as long as
    /// the run has them, however long anybody waits for it.
    ///
    /// An answer that is not finite is the model's failure, since damaged weights give such; unless the version has a probe
    /// and passes it right after: then it was that input, and one client that sends such must not open the breaker for all.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is no outcome for the breaker. The run itself goes on, and is forgotten.
    pub(crate) async fn predict(
        &self,
        loaded: &Arc<Loaded>,
        inputs: Vec<Tensor>,
        memory: impl Send + 'static,
    ) -> Result<Vec<Tensor>, Failure> {
        let permit = self.breaker.admit().map_err(rejected)?;
        let stopwatch = Stopwatch::start();
        let work = {
            let loaded = Arc::clone(loaded);
            move || {
                let _memory = memory;
                let outcome = run(&*loaded.session, inputs);
                let is_input =
                    matches!(outcome, Err(RunError::NotFinite { .. })) && loaded.passes_probe();
                (outcome, is_input)
            }
        };
        let job = infer(&*self.executor, &self.model, loaded, work);
        let outcome = timeout(self.deadline, job).await;
        let took = stopwatch.elapsed();
        // Held over the wait and settled here, on every path: only a dropped future leaves it to its destructor.
        let failure = match outcome {
            Ok(Ok((Ok(outputs), _))) => {
                permit.success();
                self.metrics.prediction_took(took);
                return Ok(outputs);
            }
            Ok(Err(overloaded @ JobError::Overloaded(_))) => {
                permit.cancel();
                return Err(overloaded.into_failure());
            }
            Ok(Ok((Err(refused @ RunError::Refused { .. }), _))) => {
                permit.cancel();
                return Err(Failure::new(Reason::InvalidRequest, refused.to_string()));
            }
            Ok(Ok((Err(error), true))) => {
                permit.cancel();
                self.metrics.prediction_took(took);
                return Err(Failure::new(Reason::InferenceFailed, error.to_string()));
            }
            Ok(Ok((Err(error), false))) => Failure::new(Reason::InferenceFailed, error.to_string()),
            Ok(Err(error)) => error.into_failure(),
            Err(_) => Failure::new(
                Reason::DeadlineExceeded,
                format!("the model did not answer within {:?}", self.deadline),
            ),
        };
        permit.failure();
        self.metrics.prediction_took(took);
        Err(failure)
    }

    /// Begins to account for a request.
    pub(crate) fn account(&self) -> Account<'_> {
        Account {
            predictor: self,
            settled: false,
        }
    }
}

impl JobError {
    /// What a request is told whose work was not done.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Overloaded(_) => Failure {
                retry_after: Some(OVERLOAD_RETRY),
                ..Failure::new(Reason::Overloaded, self)
            },
            Self::Panicked(_) | Self::Dropped => Failure::new(Reason::InferenceFailed, self),
        }
    }
}

impl Failure {
    pub(crate) fn new(reason: Reason, detail: impl std::fmt::Display) -> Self {
        Self {
            reason,
            detail: sanitize_for_log(detail).into(),
            retry_after: None,
        }
    }
}

fn rejected(rejected: Rejected) -> Failure {
    Failure {
        reason: Reason::CircuitOpen,
        detail: rejection(rejected.state).into(),
        retry_after: Some(rejected.retry_after),
    }
}

/// The detail of a rejection by a breaker in `state`.
fn rejection(state: BreakerState) -> &'static str {
    match state {
        BreakerState::ForcedOpen => {
            "an operator opened the circuit breaker of the model: no request passes until an operator releases it"
        }
        BreakerState::HalfOpen => {
            "the model failed too often: its circuit breaker waits for the outcome of its probes"
        }
        _ => "the model failed too often: its circuit breaker is open and rejects requests for now",
    }
}

fn unavailable(status: &ModelStatus) -> Failure {
    let (reason, detail) = status
        .unavailable()
        .unwrap_or((Reason::ModelLoading, "the model is loading".to_owned()));
    Failure {
        reason,
        detail: detail.into(),
        retry_after: Some(status.retry_after().unwrap_or_default()),
    }
}

/// A version was asked for that is not the one that answers.
fn not_served(status: &ModelStatus, version: Version) -> Failure {
    match (status.versions.get(&version), status.serving) {
        _ if status.attempts == 0 => unavailable(status),
        (Some(VersionStatus::Refused { reason, detail }), _) => {
            let detail = format!("version {version}: {detail}");
            Failure {
                reason: *reason,
                detail: detail.into(),
                retry_after: Some(status.retry_after().unwrap_or_default()),
            }
        }
        (Some(_), Some((serving, _))) => {
            let detail = format!(
                "one version of a model is loaded at a time, and that is {serving} now, not {version}"
            );
            Failure::new(Reason::VersionNotLoaded, detail)
        }
        _ => Failure::new(
            Reason::UnknownVersion,
            format!("{} has no version {version}", status.model),
        ),
    }
}

/// One request for a prediction of a known model, counted exactly once: as answered, as failed, or, when it is dropped
/// before either, as cancelled.
#[must_use = "a request that is dropped is a cancelled one"]
pub(crate) struct Account<'a> {
    predictor: &'a Predictor,
    settled: bool,
}

impl Account<'_> {
    pub(crate) fn answered(mut self) {
        self.settled = true;
        self.predictor.metrics.prediction_succeeded();
    }

    pub(crate) fn failed(mut self, failure: &Failure) {
        self.settle(failure.reason, &failure.detail);
    }

    fn settle(&mut self, reason: Reason, detail: &str) {
        self.settled = true;
        self.predictor.metrics.prediction_failed(reason);
        let model = &self.predictor.model;
        let version = || {
            let serving = self.predictor.status().serving;
            serving.map(|(version, _)| tracing::field::display(version))
        };
        // What the model did wrong is news. What follows from a state that was news before, or from what a client
        // sent, comes as often as clients like, and is told at a level that is off by default.
        if matches!(reason, Reason::InferenceFailed | Reason::DeadlineExceeded) {
            tracing::error!(%model, version = version(), %reason, detail, "prediction failed");
        } else {
            tracing::debug!(%model, version = version(), %reason, detail, "prediction refused");
        }
    }
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(Reason::Cancelled, "the client went away");
        }
    }
}
