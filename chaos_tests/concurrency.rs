//! Files are damaged, replaced and reloaded while many clients send requests.

use clarity_chaos::fault::{BitFlip, Delete, Fault, Garbage, Replace, Truncate};
use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::{Clients, MODEL, MODEL_BYTES, Repository, Served, cole_kripke, scale_of};
use std::collections::BTreeSet;

const CLIENTS: usize = 16;

/// Sixteen clients send requests while versions are damaged and repaired. Each answer must be right
/// for the version that it names, or must be a 503. Each 503 must have a reason and a retry delay.
/// In the end the newest version must answer.
#[chaos(concurrency, non_destructive, timeout = "60s")]
async fn sixteen_clients_get_right_answers_or_honest_refusals(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let flip = cx.inject(BitFlip::new(repository.weights(MODEL, 1)))?;
    let served = Served::start_on_threads(&cx, &repository).await?;
    let mut clients = Clients::start(&cx, &served, CLIENTS);
    clients.until(|seen| seen.unavailable >= CLIENTS).await?;
    flip.undo();
    served.reload(MODEL).await?;
    clients.until(|seen| seen.right >= CLIENTS).await?;

    for version in 2..=5 {
        deploy_damaged(&cx, &repository, &served, &mut clients, version).await?;
        clients.until(|seen| seen.newest == version).await?;
    }
    let seen = clients.stop().await?;
    cx.measured(format!("{seen:?}"));
    assert!(seen.right > 0 && seen.unavailable > 0);
    served.shut_down().await
}

/// Publishes the next version, and damages it before the server reloads the model. Repairs the
/// version after some requests.
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
        0 => damage_for_a_while(cx, served, clients, BitFlip::new(&weights)).await,
        1 => damage_for_a_while(cx, served, clients, Garbage::new(&weights)).await,
        _ => damage_for_a_while(cx, served, clients, Truncate::new(&weights)).await,
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

/// Good versions replace each other quickly while sixteen clients send requests. No request may be
/// lost, and each answer must be right for the version that it names.
#[chaos(concurrency, non_destructive, timeout = "60s")]
async fn good_versions_follow_each_other_without_a_lost_request(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start_on_threads(&cx, &repository).await?;
    let mut clients = Clients::start(&cx, &served, CLIENTS);
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

/// Returns the number in the environment variable `variable`, or `default` if the variable is not
/// set.
fn size(variable: &str, default: usize) -> Result<usize> {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .map_err(|error| format!("{variable}={text}: {error}").into()),
        Err(_) => Ok(default),
    }
}

/// Good and bad versions alternate while many clients send requests. No request may be lost. Each
/// answer must name a good version. The answer must equal ONNX Runtime's answer for that version. A
/// swap is the deployment of one version, good or bad. For the full size, set the environment
/// variables `SWAPS=100 CLIENTS=200`.
#[chaos(
    concurrency,
    non_destructive,
    timeout = "300s",
    seed_name = "concurrency::clients_lose_nothing_over_swaps_between_good_and_bad_versions"
)]
async fn clients_lose_nothing_over_swaps_of_good_and_bad_versions(cx: Context) -> Result {
    let (clients, swaps) = (size("CLIENTS", 24)?, size("SWAPS", 24)?);
    let repository = Repository::with_model(&cx)?;
    let staging = Repository::staging(&cx)?;
    staging.publish_bytes(MODEL, MODEL_BYTES)?;
    // This test and each client need two places in the server's capacity. A place stays taken for a
    // moment after the answer.
    let places = 2 * (clients + 1);
    let served = Served::start_with_capacity(&cx, &repository, places).await?;
    let activity = cole_kripke::recorded_and(10, &mut cx.rng());

    let mut asking = Clients::start(&cx, &served, clients);
    let (mut newest_good, mut good) = (1, BTreeSet::from([1]));
    for swap in 0..swaps {
        let is_bad = swap % 2 == 0;
        if is_bad {
            deploy_bad(&cx, &staging, &repository, swap / 2)?;
        } else {
            newest_good = staging.publish_scaled(MODEL, scale_of(staging.next_version(MODEL)?)?)?;
            repository.receive(&staging, MODEL, newest_good)?;
            good.insert(newest_good);
        }
        served.reload(MODEL).await?;
        let answer = served.client.infer(MODEL, &activity).await?;
        answer.assert_served_by(newest_good, is_bad);
        asking.until(|seen| seen.newest == newest_good).await?;
        asking.go_on_for(clients).await?;
    }
    let seen = asking.stop().await?;
    cx.measured(format!("{clients} clients, {swaps} swaps: {seen:?}"));
    assert_eq!(seen.unavailable, 0, "{seen:?}");
    assert!(seen.right >= clients * swaps, "{seen:?}");
    assert!(
        seen.versions.is_subset(&good),
        "{seen:?}, good are {good:?}"
    );
    served.shut_down().await
}

/// Deploys the next version, already damaged. `number` selects the damage.
fn deploy_bad(
    cx: &Context,
    staging: &Repository,
    repository: &Repository,
    number: usize,
) -> Result {
    if number % 8 == 7 {
        // Every byte matches the manifest, but the bytes are not a model.
        let version = staging.publish_bytes(MODEL, b"not a model")?;
        return repository.receive(staging, MODEL, version);
    }
    let version = staging.publish_scaled(MODEL, scale_of(staging.next_version(MODEL)?)?)?;
    let (weights, manifest) = (
        staging.weights(MODEL, version),
        staging.manifest(MODEL, version),
    );
    let damage = match number % 8 {
        0 => cx.inject(BitFlip::new(weights))?.untyped(),
        1 => cx.inject(Truncate::new(weights))?.untyped(),
        2 => cx.inject(Garbage::new(weights))?.untyped(),
        3 => cx
            .inject(Replace::new(weights, staging.weights(MODEL, 1)))?
            .untyped(),
        4 => cx.inject(Delete::new(manifest))?.untyped(),
        5 => cx.inject(Garbage::new(manifest))?.untyped(),
        _ => cx
            .inject(Replace::new(manifest, staging.manifest(MODEL, 1)))?
            .untyped(),
    };
    repository.receive(staging, MODEL, version)?;
    damage.undo();
    Ok(())
}
