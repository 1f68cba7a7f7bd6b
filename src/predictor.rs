//! The predictor answers requests for one model. It enforces the model's circuit breaker and a
//! deadline.

mod judging;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use clarity_breaker::{Breaker, BreakerState, Rejected};
use tokio::sync::watch;

use crate::executor::{Executor, JobError, JobKind, Overloaded, infer_within};
use crate::judge::Judge;
use crate::metrics::ModelMetrics;
use crate::sanitize::sanitize_for_log;
use crate::session::{RunError, run};
use crate::status::{Loaded, ModelState, arriving};
use crate::stopwatch::Stopwatch;
use crate::{BreakerSnapshot, ModelName, ModelStatus, Reason, Tensor, Version, VersionStatus};

/// The retry delay for a client of an overloaded server.
pub(crate) const OVERLOAD_RETRY: Duration = Duration::from_secs(1);

/// Answers requests for one model.
#[derive(Debug)]
pub(crate) struct Predictor {
    pub(crate) model: ModelName,
    pub(crate) state: watch::Receiver<ModelState>,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) metrics: Arc<ModelMetrics>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) judge: Arc<Judge>,
    pub(crate) deadline: Duration,
    /// Whether an operator unloaded the model by request.
    pub(crate) unloaded: bool,
}

/// The reason why a request has no answer. The response's status and body, the metric and the log
/// event are derived from this value.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) retry_after: Option<Duration>,
}

/// The version that answers a request. Also the reason why the answer is degraded, if it is
/// degraded.
pub(crate) struct Serving {
    pub(crate) loaded: Arc<Loaded>,
    pub(crate) degraded: Option<Reason>,
}

impl Predictor {
    pub(crate) fn status(&self) -> Arc<ModelStatus> {
        Arc::clone(&self.state.borrow().status)
    }

    /// Whether the model never had a version. False until the first load attempt has ended.
    pub(crate) fn is_vacant(&self) -> bool {
        let state = self.state.borrow();
        state.vacant && state.status.attempts > 0
    }

    /// The loaded versions, from the oldest to the newest.
    pub(crate) fn versions(&self) -> Vec<Version> {
        let state = self.state.borrow();
        let first = state.loaded.iter().map(|loaded| loaded.version());
        let mut versions: Vec<Version> = first.chain(state.others.keys().copied()).collect();
        versions.sort();
        versions
    }

    /// The loaded versions themselves, from the oldest to the newest.
    pub(crate) fn loaded(&self) -> Vec<Arc<Loaded>> {
        let state = self.state.borrow();
        let mut loaded: Vec<Arc<Loaded>> = state.others.values().cloned().collect();
        loaded.extend(state.loaded.clone());
        loaded.sort_by_key(|loaded| loaded.version());
        loaded
    }

    pub(crate) fn breaker(&self) -> BreakerSnapshot {
        self.breaker.snapshot()
    }

    /// The loaded version with the number `version`. `None` selects the newest good version.
    pub(crate) fn serving(&self, version: Option<Version>) -> Result<Serving, Failure> {
        if self.unloaded {
            let detail = "the model was unloaded on request: load it again first";
            return Err(Failure::new(Reason::ModelUnloaded, detail));
        }
        // The borrow locks the channel, so the code below must not wait.
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

    /// Checks that requests for `version` can be answered. `None` selects the newest good version.
    ///
    /// A breaker that an operator forced open makes the model unready. A breaker that opened
    /// because of failures does not.
    // After failures, only successful requests close the breaker again. An unready model would
    // receive no requests, so its breaker would never close.
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

    /// Rejects a request early while the breaker is open. [`predict`](Self::predict) checks the
    /// breaker again.
    pub(crate) fn reject_if_open(&self) -> Result<(), Failure> {
        self.breaker.reject_if_open().map_err(rejected)
    }

    /// Rejects a request before its body is read, if the executor is full. Reserves no slot.
    // With a reservation, a slow client could hold a slot without using it.
    pub(crate) fn reject_if_full(&self) -> Result<(), Failure> {
        match self.executor.has_room(JobKind::Inference) {
            true => Ok(()),
            false => Err(JobError::Overloaded(Overloaded).into_failure()),
        }
    }

    /// Runs the model once, if the breaker admits the call. `memory` is the reservation of memory
    /// for the inputs. The run holds this reservation until the run ends, even after the deadline.
    ///
    /// The deadline covers the wait in the queue and the run. If it passes in the queue, the
    /// request is refused as overloaded, frees its memory, and counts nothing at the breaker.
    ///
    /// A failed run counts as a failure of the model. Before it would open the breaker, the
    /// [judge](Judge) decides whether the failures are the model's fault. If they are not, they no
    /// longer count. A half-open breaker tries the judge first. A run beyond the deadline is never
    /// judged: it always counts.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future counts as a cancelled call for the breaker. A request in the queue
    /// leaves it. A run that has begun continues.
    // Damaged weights can cause failures, but some inputs cause them too. One client that sends
    // such inputs must not open the breaker for all clients.
    pub(crate) async fn predict(
        &self,
        loaded: &Arc<Loaded>,
        inputs: Vec<Tensor>,
        memory: impl Send + 'static,
    ) -> Result<Vec<Tensor>, Failure> {
        let permit = self.breaker.admit().map_err(rejected)?;
        let permit = self.judge_first(permit, loaded).await?;
        let copy = match loaded.probe {
            Some(_) => None,
            None => loaded.good_input.copy(&inputs),
        };
        let stopwatch = Stopwatch::start();
        let runs = loaded.runs_in(&self.metrics).clone();
        let work = {
            let loaded = Arc::clone(loaded);
            move || {
                let _memory = memory;
                let queued = stopwatch.elapsed();
                runs.inc();
                let outcome = run(&*loaded.session, inputs);
                if outcome.is_ok() {
                    let took = stopwatch.elapsed().saturating_sub(queued);
                    loaded.statistics.executed(queued, took);
                }
                outcome
            }
        };
        let labels = (&self.model, &self.metrics);
        let job = infer_within(self.deadline, &*self.executor, loaded, labels, work);
        let outcome = job.await;
        let took = stopwatch.elapsed();
        // Every path below reports the outcome to the permit. The permit's destructor records a
        // cancelled call only if this future is dropped.
        let (failure, fault_of_input) = match outcome {
            Ok(Ok(Ok(outputs))) => {
                permit.success();
                self.metrics.prediction_took(took);
                // A slow input would make a slow judge.
                if let Some(copy) = copy.filter(|_| took <= self.deadline / 2) {
                    loaded.good_input.keep(copy);
                }
                return Ok(outputs);
            }
            Ok(Err(overloaded)) if overloaded.is_overload() => {
                permit.cancel();
                return Err(overloaded.into_failure());
            }
            Ok(Ok(Err(refused @ RunError::Refused { .. }))) => {
                permit.cancel();
                return Err(Failure::new(Reason::InvalidRequest, refused.to_string()));
            }
            Ok(Ok(Err(died))) if died.is_from_outside() => {
                permit.cancel();
                return Err(Failure::of_run(&died));
            }
            Ok(Ok(Err(error))) => {
                let is_panic = matches!(error, RunError::Panicked(_));
                let failure = Failure::of_run(&error);
                let is_usual = failure.reason == Reason::InferenceFailed && !is_panic;
                (failure, is_usual.then(|| Failure::input_rejected(&error)))
            }
            Ok(Err(error)) => (error.into_failure(), None),
            Err(_) => {
                self.metrics.prediction_took(took);
                self.record_timeout(permit, loaded).await;
                return Err(Failure::new(
                    Reason::DeadlineExceeded,
                    format!("the model did not answer within {:?}", self.deadline),
                ));
            }
        };
        drop(copy);
        self.metrics.prediction_took(took);
        let model_passes = self.record_failure(permit, loaded).await;
        Err(fault_of_input.filter(|_| model_passes).unwrap_or(failure))
    }

    /// Starts the accounting of one request.
    pub(crate) fn account(&self) -> RequestAccount<'_> {
        self.metrics.begin();
        RequestAccount {
            predictor: self,
            recorded: false,
        }
    }
}

impl JobError {
    /// Whether the job never began, for lack of capacity.
    fn is_overload(&self) -> bool {
        matches!(self, Self::Overloaded(_) | Self::Expired | Self::Stalled)
    }

    /// Converts the error of a job to the failure of the request.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Overloaded(_) | Self::Expired | Self::Stalled => Failure {
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

impl Failure {
    /// The failure of a run.
    fn of_run(error: &RunError) -> Self {
        let reason = error.reason();
        let is_brief = reason == Reason::WorkerDied;
        Self {
            retry_after: is_brief.then_some(OVERLOAD_RETRY),
            ..Self::new(reason, error)
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

/// The detail text of a rejection by a breaker in `state`.
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

/// The failure of a request for a version that is not loaded.
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
        (Some(VersionStatus::Arriving { detail }), _) => Failure {
            reason: Reason::ModelArriving,
            detail: arriving(version, detail).into(),
            retry_after: Some(status.retry_after().unwrap_or_default()),
        },
        (Some(_), Some((serving, _))) => {
            let detail = format!(
                "version {version} is not loaded: version {serving} answers for this model"
            );
            Failure::new(Reason::VersionNotLoaded, detail)
        }
        _ => Failure::new(
            Reason::UnknownVersion,
            format!("{} has no version {version}", status.model),
        ),
    }
}

/// Counts one prediction request exactly once: as answered, failed or cancelled. If this value is
/// dropped before an outcome is recorded, the request counts as cancelled.
#[must_use = "a request that is dropped is a cancelled one"]
pub(crate) struct RequestAccount<'a> {
    predictor: &'a Predictor,
    recorded: bool,
}

impl RequestAccount<'_> {
    pub(crate) fn answered(mut self) {
        self.recorded = true;
        self.predictor.metrics.prediction_succeeded();
    }

    pub(crate) fn failed(mut self, failure: &Failure) {
        self.record_failure(failure.reason, &failure.detail);
    }

    fn record_failure(&mut self, reason: Reason, detail: &str) {
        self.recorded = true;
        self.predictor.metrics.prediction_failed(reason);
        let model = &self.predictor.model;
        let version = || {
            let serving = self.predictor.status().serving;
            serving.map(|(version, _)| tracing::field::display(version))
        };
        // A failure of the model is logged as an error. Other failures are caused by the request,
        // or by a state that is already logged. Clients can cause any number of these other
        // failures, so the default log level omits them.
        if matches!(reason, Reason::InferenceFailed | Reason::DeadlineExceeded) {
            tracing::error!(%model, version = version(), %reason, detail, "prediction failed");
        } else {
            tracing::debug!(%model, version = version(), %reason, detail, "prediction refused");
        }
    }
}

impl Drop for RequestAccount<'_> {
    fn drop(&mut self) {
        if !self.recorded {
            self.record_failure(Reason::Cancelled, "the client closed the connection");
        }
    }
}
