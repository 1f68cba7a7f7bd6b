//! Too few descriptors, busy processors, and a wall clock that jumps.

use clarity_chaos::fault::{BitFlip, Descriptors, Processor, WallClock};
use clarity_chaos::{Context, Event, EventKind, Result, chaos, sometimes};
use clarity_testbed::{MODEL, Repository, Served, cole_kripke, until};
use std::time::Duration;

/// Few descriptors are left while a second version is loaded. The first or the second version must
/// answer over the open connection. Once descriptors are free, the second version must be served.
#[chaos(resources, non_destructive, clock = "manual")]
async fn without_descriptors_what_is_loaded_goes_on_answering(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, false);
    let version = repository.publish_scaled(MODEL, 2.0)?;

    let few = cx.inject(Descriptors::new().leaving_at_most(3))?;
    served.reload(MODEL).await?;
    let answer = served.client.infer(MODEL, &activity).await?;
    let is_first = answer.member("model_version")? == "1";
    cole_kripke::assert_right(&answer, &activity, if is_first { 1.0 } else { 2.0 })?;
    sometimes!(is_first, "a version is not loaded for want of descriptors");
    assert_eq!(served.client.status("/v2/health/live").await?, 200);

    few.undo();
    served.reload(MODEL).await?;
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(version, false);
    cole_kripke::assert_right(&answer, &activity, 2.0)?;
    served.shut_down().await
}

/// No descriptor is left when a client connects. The server must accept the connection once
/// descriptors are free.
#[chaos(
    resources,
    non_destructive,
    clock = "manual",
    seed_name = "resources::clients_that_came_when_there_were_no_descriptors_are_accepted_later"
)]
async fn clients_that_came_without_descriptors_are_accepted_later(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    // The fault leaves one descriptor for the client's socket, and none for the server's socket.
    let few = cx.inject(Descriptors::new().leaving(1))?;
    let mut waiting = served.client.connect().await?;
    assert!(served.client.connect().await.is_err());
    // The server has no other reason to warn, so any warning is about the missing descriptors.
    let is_warning = |event: &Event| matches!(&event.kind, EventKind::Log { level, target, .. } if level == "WARN" && target.starts_with("clarity::server"));
    until("the warning of the server", || {
        cx.timeline().iter().any(is_warning)
    })
    .await;

    few.undo();
    // After a failed accept, the server waits before it tries again.
    cx.clock().advance(Duration::from_secs(1)).await;
    waiting
        .send("GET /v2/health/live HTTP/1.1\r\nhost: clarity\r\n\r\n")
        .await?;
    let answer = waiting.read_response().await?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(waiting);
    served.shut_down().await
}

/// Four other threads compute without pause. A version must load and answer correctly.
#[chaos(resources, non_destructive, clock = "manual")]
async fn a_neighbour_on_every_processor_makes_nothing_wrong(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    let _busy = cx.inject(Processor::new().with_threads(4))?;
    let version = repository.publish_scaled(MODEL, 2.0)?;
    served.reload(MODEL).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(version, false);
    cole_kripke::assert_right(&answer, &activity, 2.0)?;
    served.shut_down().await
}

/// The wall clock jumps by up to ten years in either direction. The server must notice a damaged
/// file and the repair of that file. The jump must not affect any `Retry-After`.
#[chaos(resources, non_destructive, clock = "manual")]
async fn a_clock_that_is_set_changes_no_answer(cx: Context) -> Result {
    const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let set = cx.inject(WallClock::new().within(TEN_YEARS))?;
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, false);

    let version = repository.publish_scaled(MODEL, 2.0)?;
    let rot = cx.inject(BitFlip::new(repository.weights(MODEL, version)))?;
    served.reload(MODEL).await?;
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, true);
    let path = format!("/v2/models/{MODEL}/versions/{version}/ready");
    let wait = served
        .client
        .get(&path)
        .await?
        .assert_unavailable("model_corrupt");
    assert!(wait <= 3600, "Retry-After: {wait}");

    set.undo();
    rot.undo();
    served.reload(MODEL).await?;
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(version, false);
    cole_kripke::assert_right(&answer, &activity, 2.0)?;
    served.shut_down().await
}
