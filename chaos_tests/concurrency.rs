//! Files are damaged, replaced and reloaded while many clients ask.

use crate::support::{Answer, MODEL, Repository, Served, cole_kripke};
use clarity_chaos::fault::{BitFlip, Fault, Garbage, Truncate};
use clarity_chaos::{Context, Result, chaos};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio::task::JoinSet;

const CLIENTS: usize = 16;

/// What the clients have seen together.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    right: usize,
    unavailable: usize,
    newest: u64,
}

/// Clients that ask until they are told to stop, and check every answer.
struct Clients {
    tasks: JoinSet<Result>,
    stop: Arc<AtomicBool>,
    seen: watch::Receiver<Seen>,
}

impl Clients {
    fn start(cx: &Context, served: &Served) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, seen) = watch::channel(Seen::default());
        let tell = Arc::new(tell);
        let mut tasks = JoinSet::new();
        for number in 0..CLIENTS {
            let mut rng = cx.rng_for(&format!("client {number}"));
            let (client, stop, tell) =
                (served.client.clone(), Arc::clone(&stop), Arc::clone(&tell));
            tasks.spawn(async move {
                while !stop.load(Ordering::Acquire) {
                    let activity = cole_kripke::activity(30, &mut rng);
                    let answer = client.infer(MODEL, &activity).await?;
                    let version = check(&answer, &activity)?;
                    tell.send_modify(|seen| match version {
                        Some(version) => {
                            seen.right += 1;
                            seen.newest = seen.newest.max(version);
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
    async fn until(&mut self, enough: impl Fn(&Seen) -> bool) -> Result<Seen> {
        tokio::select! {
            seen = self.seen.wait_for(enough) => Ok(*seen?),
            Some(ended) = self.tasks.join_next() => {
                ended??;
                Err("a client stopped by itself".into())
            }
        }
    }

    /// Waits until the clients have got so many more answers, of whichever kind.
    async fn go_on_for(&mut self, answers: usize) -> Result<Seen> {
        let now = *self.seen.borrow();
        self.until(|seen| seen.right + seen.unavailable >= now.right + now.unavailable + answers)
            .await
    }

    async fn stop(mut self) -> Result<Seen> {
        self.stop.store(true, Ordering::Release);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(*self.seen.borrow())
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
    if answer.status == 200 && cole_kripke::is_right(answer, activity, scale)? {
        Ok(Some(version))
    } else {
        Err(format!(
            "a wrong answer of version {version}, status {}: {}",
            answer.status, answer.text
        )
        .into())
    }
}

/// Version 1 has the published weights, every later one twice those of the one before.
fn scale_of(version: u64) -> Result<f32> {
    Ok(f32::from(1_u16 << u16::try_from(version - 1)?))
}

/// Sixteen clients ask while the only version is damaged, repaired, followed by damaged ones and repaired again. Each answer must be
/// exactly right for the version it names, or an honest 503; both must have been seen, and in the end the newest version.
#[chaos(concurrency, non_destructive, timeout = "60s")]
async fn sixteen_clients_get_right_answers_or_honest_refusals(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let flip = cx.inject(BitFlip::in_file(repository.weights(MODEL, 1)))?;
    let served = Served::start_on_threads(&cx, &repository).await?;
    let mut clients = Clients::start(&cx, &served);
    clients.until(|seen| seen.unavailable >= CLIENTS).await?;
    flip.undo();
    served.reload(MODEL).await?;
    clients.until(|seen| seen.right >= CLIENTS).await?;

    for version in 2..=5 {
        deploy_damaged(&cx, &repository, &served, &mut clients, version).await?;
        clients.until(|seen| seen.newest == version).await?;
    }
    let seen = clients.stop().await?;
    cx.note(format!("{seen:?}"));
    assert!(seen.right > 0 && seen.unavailable > 0);
    served.shut_down().await
}

/// Publishes the next version, damages it before the server can have looked, and repairs it later.
async fn deploy_damaged(
    cx: &Context,
    repository: &Repository,
    served: &Served,
    clients: &mut Clients,
    version: u64,
) -> Result {
    repository.publish_scaled(MODEL, scale_of(version)?)?;
    let weights = repository.weights(MODEL, version);
    match version % 3 {
        0 => damage_for_a_while(cx, served, clients, BitFlip::in_file(&weights)).await,
        1 => damage_for_a_while(cx, served, clients, Garbage::over(&weights)).await,
        _ => damage_for_a_while(cx, served, clients, Truncate::file(&weights)).await,
    }
}

async fn damage_for_a_while<F: Fault>(
    cx: &Context,
    served: &Served,
    clients: &mut Clients,
    fault: F,
) -> Result {
    let damage = cx.inject(fault)?;
    served.reload(MODEL).await?;
    clients.go_on_for(4 * CLIENTS).await?;
    damage.undo();
    served.reload(MODEL).await?;
    Ok(())
}

/// Good versions follow each other quickly while sixteen clients ask. No request may be lost, and each answer must be that of the version it names.
#[chaos(concurrency, non_destructive, timeout = "60s")]
async fn good_versions_follow_each_other_without_a_lost_request(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start_on_threads(&cx, &repository).await?;
    let mut clients = Clients::start(&cx, &served);
    for version in 2..=8 {
        clients.go_on_for(CLIENTS).await?;
        repository.publish_scaled(MODEL, scale_of(version)?)?;
        served.reload(MODEL).await?;
        clients.until(|seen| seen.newest == version).await?;
    }
    let seen = clients.stop().await?;
    assert_eq!(seen.unavailable, 0, "{seen:?}");
    served.shut_down().await
}
