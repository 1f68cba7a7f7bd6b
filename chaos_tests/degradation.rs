//! Models with bad versions. The server must serve good versions, report bad ones and detect
//! repairs.

use clarity::{JobKind, ReadyWhen};
use clarity_chaos::fault::{BitFlip, Delete, Truncate};
use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::{MODEL, MODEL_BYTES, Repository, Served, cole_kripke, post_head};
use std::time::Duration;

/// No version of a model is good. A request must get a 503 with a reason and a retry delay. The
/// model must not be ready, and the server must stay live.
#[chaos(
    degradation,
    non_destructive,
    clock = "manual",
    seed_name = "degradation::without_a_good_version_the_model_is_unavailable_and_the_server_lives"
)]
async fn a_model_without_a_good_version_is_503_and_the_server_lives(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    repository.publish_scaled(MODEL, 2.0)?;
    for version in [1, 2] {
        cx.inject(BitFlip::new(repository.weights(MODEL, version)))?
            .until_end();
    }
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_unavailable("model_corrupt");

    let not_ready = format!("/v2/models/{MODEL}/ready");
    for (path, status) in [
        ("/v2/health/live", 200),
        ("/v2", 200),
        ("/metrics", 200),
        (&not_ready, 503),
    ] {
        assert_eq!(served.client.status(path).await?, status, "{path}");
    }
    served.shut_down().await
}

/// The weight file is missing when the server starts. The reason for the refusal must differ from
/// the reason for a damaged file.
#[chaos(
    degradation,
    non_destructive,
    clock = "manual",
    seed_name = "degradation::a_missing_file_is_told_apart_from_a_damaged_one"
)]
async fn a_missing_file_is_distinct_from_a_damaged_one(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    cx.inject(Delete::new(repository.weights(MODEL, 1)))?
        .until_end();
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_unavailable("model_missing");
    served.shut_down().await
}

/// A damaged version is deployed while the old one serves. The old version must answer with the
/// same outputs as before. Its answers must be marked as degraded.
#[chaos(degradation, non_destructive, clock = "manual")]
async fn a_bad_new_version_leaves_the_old_one_answering(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let before = served.client.infer(MODEL, &activity).await?;
    before.assert_served_by(1, false);

    repository.publish_scaled(MODEL, 2.0)?;
    let flip = cx.inject(BitFlip::new(repository.weights(MODEL, 2)))?;
    served.reload(MODEL).await?;
    let during = served.client.infer(MODEL, &activity).await?;
    during.assert_served_by(1, true);
    assert_eq!(before.json()["outputs"], during.json()["outputs"]);
    let ready = served
        .client
        .get(&format!("/v2/models/{MODEL}/ready"))
        .await?;
    assert_eq!(ready.status, 200, "an older good version is not ready");

    // The repaired version replaces the old one.
    flip.undo();
    served.reload(MODEL).await?;
    let after = served.client.infer(MODEL, &activity).await?;
    after.assert_served_by(2, false);
    cole_kripke::assert_right(&after, &activity, 2.0)?;
    served.shut_down().await
}

/// The file of the served version is corrupted on disk. The bytes in memory were verified when they
/// were loaded, so the outputs must stay the same. The answers must be marked as degraded.
#[chaos(degradation, non_destructive, clock = "manual")]
async fn a_version_that_rots_while_it_serves_goes_on_from_memory(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let before = served.client.infer(MODEL, &activity).await?;
    before.assert_served_by(1, false);
    cx.inject(BitFlip::new(repository.weights(MODEL, 1)))?
        .until_end();
    served.reload(MODEL).await?;
    let after = served.client.infer(MODEL, &activity).await?;
    after.assert_served_by(1, true);
    assert_eq!(before.json()["outputs"], after.json()["outputs"]);
    served.shut_down().await
}

/// The damaged file of a refused model is repaired in place. The model must answer when the retry
/// delay of its 503 has passed. Neither a restart nor a command may be necessary.
#[chaos(degradation, non_destructive, clock = "manual")]
async fn a_repaired_model_is_back_by_the_time_that_was_named(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let flip = cx.inject(BitFlip::new(repository.weights(MODEL, 1)))?;
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let refused = served.client.infer(MODEL, &activity).await?;
    let seconds = refused.assert_unavailable("model_corrupt");
    flip.undo();

    cx.clock().advance(Duration::from_secs(seconds)).await;
    served.until_serving(MODEL).await?;
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, false);
    cole_kripke::assert_right(&answer, &activity, 1.0)?;
    served.shut_down().await
}

/// One of three models is damaged when the server starts. The other models must answer as usual.
#[chaos(degradation, non_destructive, clock = "manual")]
async fn a_damaged_model_does_not_touch_the_others(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    for name in ["left", "right"] {
        repository.publish_bytes(name, MODEL_BYTES)?;
    }
    cx.inject(BitFlip::new(repository.weights(MODEL, 1)))?
        .until_end();
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    for name in ["left", "right"] {
        let answer = served.client.infer(name, &activity).await?;
        cole_kripke::assert_right(&answer, &activity, 1.0)?;
    }
    let refused = served.client.infer(MODEL, &activity).await?;
    refused.assert_unavailable("model_corrupt");
    served.shut_down().await
}

/// A client is still sending when its request is refused. The client must get the refusal, not a
/// connection reset. Then the client must be able to send the next request on the same connection.
#[chaos(degradation, non_destructive, clock = "manual")]
async fn a_refusal_leaves_the_connection_usable(cx: Context) -> Result {
    const HALF: usize = 30_000;
    let repository = Repository::with_model(&cx)?;
    cx.inject(BitFlip::new(repository.weights(MODEL, 1)))?
        .until_end();
    let served = Served::start(&cx, &repository).await?;

    let mut connection = served.client.connect().await?;
    for request in 1..=3 {
        let path = format!("/v2/models/{MODEL}/infer");
        connection.send(post_head(&path, 2 * HALF)).await?;
        connection.send([b' '; HALF]).await?;
        // When the server answers this health request, it has already read the first half of the
        // body.
        assert_eq!(served.client.status("/v2/health/live").await?, 200);
        connection.send([b' '; HALF]).await?;
        let answer = connection.read_response().await?;
        assert!(
            answer.starts_with("HTTP/1.1 503"),
            "request {request}: {answer}"
        );
        assert!(
            answer.contains("model_corrupt"),
            "request {request}: {answer}"
        );
    }
    drop(connection);
    served.shut_down().await
}

/// The two newest of four versions are damaged while the server is down. The server must start with
/// the newest good version, and mark the answers as degraded.
#[chaos(degradation, non_destructive, clock = "manual")]
async fn at_the_start_the_newest_good_version_is_found(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    for scale in [2.0, 4.0, 8.0] {
        repository.publish_scaled(MODEL, scale)?;
    }
    cx.inject(BitFlip::new(repository.weights(MODEL, 4)))?
        .until_end();
    cx.inject(Truncate::new(repository.weights(MODEL, 3)))?
        .until_end();
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(2, true);
    cole_kripke::assert_right(&answer, &activity, 2.0)?;
    served.shut_down().await
}

/// A deployed version is verified and loaded, but its weights are NaN. The version must not replace
/// the old version.
#[chaos(degradation, non_destructive, clock = "manual")]
async fn a_version_whose_answers_are_not_numbers_does_not_take_over(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    repository.publish_scaled(MODEL, f32::NAN)?;
    served.reload(MODEL).await?;
    let refused = served
        .client
        .get(&format!("/v2/models/{MODEL}/versions/2/ready"))
        .await?;
    refused.assert_unavailable("model_incompatible");
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, true);
    cole_kripke::assert_right(&answer, &activity, 1.0)?;
    served.shut_down().await
}

/// A model has a directory but no version yet. The server must be ready as soon as the other models
/// are ready.
#[chaos(
    degradation,
    non_destructive,
    clock = "manual",
    seed_name = "degradation::a_folder_without_versions_keeps_nobody_waiting"
)]
async fn a_directory_without_versions_does_not_delay_readiness(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    std::fs::create_dir(repository.root().join("soon"))?;
    let served = Served::start_ready_when(&cx, &repository, ReadyWhen::All).await?;
    for (path, status) in [
        ("/v2/health/ready", 200),
        ("/v2/models/soon/ready", 503),
        (&format!("/v2/models/{MODEL}/ready"), 200),
    ] {
        assert_eq!(served.client.status(path).await?, status, "{path}");
    }
    let flip = cx.inject(BitFlip::new(repository.weights(MODEL, 1)))?;
    repository.publish_bytes("soon", MODEL_BYTES)?;
    let other = cx.inject(BitFlip::new(repository.weights("soon", 1)))?;
    served.reload("soon").await?;
    // The only version of the model `soon` is now bad: not every model answers.
    assert_eq!(served.client.status("/v2/health/ready").await?, 503);
    drop((flip, other));
    served.reload("soon").await?;
    assert_eq!(served.client.status("/v2/health/ready").await?, 200);
    served.shut_down().await
}

/// A new model is loading for the first time. Until the load ends, the model must be reported as
/// loading, not as missing. The server must stay ready, because another model answers.
#[chaos(degradation, non_destructive, clock = "manual")]
async fn a_model_that_is_looked_at_for_the_first_time_is_waited_for(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    repository.publish_bytes("soon", MODEL_BYTES)?;
    served.executor.hold(JobKind::Load, "soon");
    let looking = served.reload_in_background("soon");
    served.executor.until_held(1).await;
    let body = cole_kripke::request(&cole_kripke::activity(30, &mut cx.rng()));
    for path in ["/v2/models/soon/infer", "/v2/models/soon/versions/1/infer"] {
        let answer = served.client.post(path, &body).await?;
        answer.assert_unavailable("model_loading");
    }
    assert_eq!(served.client.status("/v2/health/ready").await?, 200);

    served.executor.release();
    looking.await?;
    let answer = served.client.post("/v2/models/soon/infer", &body).await?;
    answer.assert_served_by(1, false);
    assert_eq!(served.client.status("/v2/health/ready").await?, 200);
    served.shut_down().await
}

/// Version 2 is damaged. A request that names a version must get that version's answer or refusal.
#[chaos(degradation, non_destructive, clock = "manual")]
async fn each_version_answers_for_itself(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    repository.publish_scaled(MODEL, 2.0)?;
    let flip = cx.inject(BitFlip::new(repository.weights(MODEL, 2)))?;
    let served = Served::start(&cx, &repository).await?;
    let metadata = served.client.get(&format!("/v2/models/{MODEL}")).await?;
    assert_eq!(metadata.json()["versions"], serde_json::json!(["1"]));
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let body = cole_kripke::request(&activity);
    for (version, status) in [(1, 200), (2, 503), (3, 404)] {
        let path = format!("/v2/models/{MODEL}/versions/{version}/infer");
        let answer = served.client.post(&path, &body).await?;
        assert_eq!(answer.status, status, "{version}: {}", answer.body);
        let path = format!("/v2/models/{MODEL}/versions/{version}/ready");
        assert_eq!(served.client.status(&path).await?, status, "{version}");
    }

    drop(flip);
    served.reload(MODEL).await?;
    let first = format!("/v2/models/{MODEL}/versions/1/infer");
    let answer = served.client.post(&first, &body).await?;
    assert_eq!(answer.member("reason")?, "version_not_loaded");
    served.shut_down().await
}
