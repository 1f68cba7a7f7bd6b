//! Many clients at once, each of which checks every answer.

use crate::support::{Answer, MODEL, Served, cole_kripke};
use clarity_chaos::{Context, Result};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the clients have seen together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub right: usize,
    pub unavailable: usize,
    pub newest: u64,
    /// All that have answered.
    pub versions: BTreeSet<u64>,
}

/// Clients that ask until they are told to stop, and check every answer.
pub(crate) struct Clients {
    tasks: JoinSet<Result>,
    stop: Arc<AtomicBool>,
    seen: watch::Receiver<Seen>,
}

impl Clients {
    pub(crate) fn start(cx: &Context, served: &Served, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, seen) = watch::channel(Seen::default());
        let tell = Arc::new(tell);
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            let mut rng = cx.rng_for(&format!("client {number}"));
            let (client, stop, tell) =
                (served.client.clone(), Arc::clone(&stop), Arc::clone(&tell));
            tasks.spawn(async move {
                while !stop.load(Ordering::Acquire) {
                    let activity = cole_kripke::recorded_and(20, &mut rng);
                    let answer = client.infer(MODEL, &activity).await?;
                    let version = check(&answer, &activity)?;
                    tell.send_modify(|seen| match version {
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

    /// Waits until what they have seen satisfies `enough`, or one of them has seen something wrong.
    pub(crate) async fn until(&mut self, enough: impl Fn(&Seen) -> bool) -> Result<Seen> {
        tokio::select! {
            seen = self.seen.wait_for(enough) => Ok(seen?.clone()),
            Some(ended) = self.tasks.join_next() => {
                ended??;
                Err("a client stopped by itself".into())
            }
        }
    }

    /// Waits until the clients have got so many more answers, of whichever kind.
    pub(crate) async fn go_on_for(&mut self, answers: usize) -> Result<Seen> {
        let now = self.seen.borrow().clone();
        self.until(|seen| seen.right + seen.unavailable >= now.right + now.unavailable + answers)
            .await
    }

    pub(crate) async fn stop(mut self) -> Result<Seen> {
        self.stop.store(true, Ordering::Release);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(self.seen.borrow().clone())
    }
}

/// The version that answered rightly, or none for an honest refusal. Anything else is an error.
fn check(answer: &Answer, activity: &[f32]) -> Result<Option<u64>> {
    if answer.status == 503 {
        let reason = answer.member("reason")?;
        return match reason.as_str() {
            "model_corrupt" | "model_missing" | "model_loading" | "overloaded"
                if answer.retry_after >= Some(1) =>
            {
                Ok(None)
            }
            _ => Err(format!("not an honest refusal: {}", answer.text).into()),
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
            answer.status, answer.text
        )
        .into())
    }
}

/// Version 1 has the published weights, every later one twice those of the one before, and version 65 begins anew: no answer comes near the end of single
/// precision, and no two versions that answer at about the same time have the same.
pub(crate) fn scale_of(version: u64) -> Result<f32> {
    Ok(2_f32.powi(i32::try_from((version - 1) % 64)?))
}
