//! Reports failed runs to the breaker of a model, as the model's judge decides.

use std::sync::Arc;
use std::time::Duration;

use clarity_breaker::{BreakerState, Permit};

use super::{Failure, Predictor, rejection};
use crate::Reason;
use crate::judge::Occasion;
use crate::session::RunError;
use crate::status::Loaded;
use crate::verdict::Verdict;

impl Predictor {
    /// Runs the judge if the permit belongs to a half-open breaker. Opens the breaker again if the
    /// model fails.
    pub(super) async fn judge_first<'a>(
        &self,
        mut permit: Permit<'a>,
        loaded: &Arc<Loaded>,
    ) -> Result<Permit<'a>, Failure> {
        if !permit.is_probe() {
            return Ok(permit);
        }
        if self.judge.judge(loaded, Occasion::HalfOpen).await != Some(Verdict::Failed) {
            permit.restart();
            return Ok(permit);
        }
        permit.failure();
        self.reject_if_open()?;
        // The open time is zero, or another call's outcome came first.
        Err(Failure {
            retry_after: Some(Duration::ZERO),
            ..Failure::new(Reason::CircuitOpen, rejection(BreakerState::Open))
        })
    }

    /// Counts a failed run, unless the request is at fault. Returns whether the model has passed a
    /// judging run within the last second.
    pub(super) async fn record_failure(&self, permit: Permit<'_>, loaded: &Arc<Loaded>) -> bool {
        let Err(permit) = permit.suspect() else {
            return self.judge.has_passed(loaded).await;
        };
        let verdict = self.judge.judge(loaded, Occasion::Failure).await;
        match verdict {
            Some(Verdict::Passed) => {
                permit.pardon();
                permit.cancel();
            }
            // Without a verdict, a later failure asks again.
            Some(Verdict::Undecided) => permit.cancel(),
            Some(Verdict::Failed) | None => permit.failure(),
        }
        verdict == Some(Verdict::Passed)
    }

    /// Counts a run beyond the deadline. Before earlier failures of another kind contribute to the
    /// opening of the breaker, the judge decides about them.
    pub(super) async fn record_timeout(&self, mut permit: Permit<'_>, loaded: &Arc<Loaded>) {
        while let Err(refused) = permit.try_failure() {
            if self.judge.judge(loaded, Occasion::Failure).await != Some(Verdict::Passed) {
                return refused.failure();
            }
            refused.pardon();
            permit = refused;
        }
    }
}

impl Failure {
    /// The failure of a request whose input a working model cannot process.
    pub(super) fn input_rejected(error: &RunError) -> Self {
        let advice = "the model works, so the input is the cause: send another input";
        Self::new(Reason::InputRejected, format_args!("{error}; {advice}"))
    }
}
