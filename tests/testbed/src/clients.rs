//! Many concurrent clients, each of which checks every answer.

use crate::{MODEL, Response, Served, cole_kripke};
use clarity_chaos::{Context, Result};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The answers that all clients together have received so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The number of right answers.
    pub right: usize,
    /// The number of refusals with a reason and a retry delay.
    pub unavailable: usize,
    /// The newest version that has answered.
    pub newest: u64,
    /// All versions that have answered.
    pub versions: BTreeSet<u64>,
}

/// Clients that send requests until they are stopped, and check every answer.
#[derive(Debug)]
pub struct Clients {
    tasks: JoinSet<Result>,
    stop: Arc<AtomicBool>,
    seen: watch::Receiver<Seen>,
}

impl Clients {
    /// Starts `clients` clients.
    #[must_use]
    pub fn start(cx: &Context, served: &Served, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (report, seen) = watch::channel(Seen::default());
        let report = Arc::new(report);
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            let mut rng = cx.rng_for(&format!("client {number}"));
            let (client, stop, report) = (
                served.client.clone(),
                Arc::clone(&stop),
                Arc::clone(&report),
            );
            tasks.spawn(async move {
                while !stop.load(Ordering::Acquire) {
                    let activity = cole_kripke::recorded_and(20, &mut rng);
                    let answer = client.infer(MODEL, &activity).await?;
                    let version = check(&answer, &activity)?;
                    report.send_modify(|seen| match version {
                        Some(version) => {
                            seen.right += 1;
                            seen.newest = seen.newest.max(version);
                            seen.versions.insert(version);
                        }
                        None => seen.unavailable += 1,
                    });
                }
                Ok(())
            });
        }
        Self { tasks, stop, seen }
    }

    /// Waits until the answers of all clients together satisfy `enough`.
    ///
    /// # Errors
    ///
    /// When a client got a wrong answer, or stopped early.
    pub async fn until(&mut self, enough: impl Fn(&Seen) -> bool) -> Result<Seen> {
        tokio::select! {
            seen = self.seen.wait_for(enough) => Ok(seen?.clone()),
            Some(ended) = self.tasks.join_next() => {
                ended??;
                Err("a client stopped by itself".into())
            }
        }
    }

    /// Waits until the clients together got `answers` more answers, including refusals.
    ///
    /// # Errors
    ///
    /// When a client got a wrong answer, or stopped early.
    pub async fn go_on_for(&mut self, answers: usize) -> Result<Seen> {
        let now = self.seen.borrow().clone();
        self.until(|seen| seen.right + seen.unavailable >= now.right + now.unavailable + answers)
            .await
    }

    /// Stops the clients, and returns the answers of all clients together.
    ///
    /// # Errors
    ///
    /// When a client got a wrong answer.
    pub async fn stop(mut self) -> Result<Seen> {
        self.stop.store(true, Ordering::Release);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(self.seen.borrow().clone())
    }
}

/// The version that answered correctly, or `None` for a refusal with a reason and a retry delay.
/// Any other answer is an error.
fn check(answer: &Response, activity: &[f32]) -> Result<Option<u64>> {
    if answer.status == 503 {
        let reason = answer.member("reason")?;
        return match reason.as_str() {
            "model_corrupt" | "model_missing" | "model_loading" | "overloaded"
                if answer.retry_after() >= Some(1) =>
            {
                Ok(None)
            }
            _ => Err(format!(
                "a refusal without a reason or a time to retry: {}",
                answer.body
            )
            .into()),
        };
    }
    let version: u64 = answer.member("model_version")?.parse()?;
    let scale = scale_of(version)?;
    let is_right = answer.status == 200
        && cole_kripke::is_right(answer, activity, scale)?
        && cole_kripke::is_as_recorded(answer, scale)?;
    if is_right {
        Ok(Some(version))
    } else {
        Err(format!(
            "a wrong answer of version {version}, status {}: {}",
            answer.status, answer.body
        )
        .into())
    }
}

/// The scale of a version's weights: 1 for version 1, then twice the scale of the previous version.
/// It restarts at 1 for version 65.
///
/// # Errors
///
/// Never: the exponent is below 64.
// All answers stay far below the maximum of single precision, and successive versions differ.
pub fn scale_of(version: u64) -> Result<f32> {
    Ok(2_f32.powi(i32::try_from((version - 1) % 64)?))
}
