//! Versions that are held back, by the server and by the operator.

use std::fs;
use std::sync::Arc;

use clarity::{QuarantineCause, Reason, Server, Store, VersionStatus};

use crate::support::faulty::Faulty;
use crate::support::*;

fn held(store: &Store, number: u64) -> Option<QuarantineCause> {
    let held = store.quarantined(&"cole_kripke".parse().unwrap(), version(number));
    held.map(|held| held.cause())
}

#[tokio::test]
async fn a_corrupt_version_is_marked_and_free_again_when_it_is_repaired() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    models.flip_bit("1/model.onnx", 0);
    let (server, _client) = serve(&models).await;
    assert_eq!(held(&models.store, 1), Some(QuarantineCause::Corrupt));
    let marker = fs::read_to_string(models.path("1.quarantine.json")).unwrap();
    assert!(marker.contains("expected SHA-256 837b04d3"), "{marker}");
    assert!(models.path("1/model.onnx").exists(), "nothing is deleted");
    // The server's own marker is no change on disk for it to act on.
    let mut watch = server.models().watch("cole_kripke").unwrap();
    let attempts = watch.current().attempts;
    models.flip_bit("1/model.onnx", 0);
    clock.run_out(1.0).await;
    let status = watch.wait_for(|now| now.attempts > attempts).await;
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(held(&models.store, 1), None);
}

/// It would fail again, or worse: after a restart it is not even loaded, until somebody says so.
#[tokio::test]
async fn an_incompatible_version_is_not_loaded_again_after_a_restart() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    models.publish("cole_kripke", b"not a model");
    let (server, _client) = serve(&models).await;
    drop(server);
    assert_eq!(held(&models.store, 2), Some(QuarantineCause::Incompatible));

    let faulty = Faulty::new();
    let restart = || {
        let builder = Server::builder(models.root()).config(config());
        let builder = builder.executor(clarity::Inline);
        start(builder.shared_runtime(Arc::new(faulty.runtime())))
    };
    let (server, _client) = restart().await;
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(status.degraded, Some(Reason::ModelIncompatible));
    match &status.versions[&version(2)] {
        VersionStatus::Refused { detail, .. } => {
            assert!(detail.starts_with("quarantined since 20"), "{detail}");
            assert!(detail.contains("the runtime cannot load"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        metric(
            &server,
            r#"model_load_duration_seconds_count{model="cole_kripke"}"#
        ),
        1.0
    );
    drop(server);

    // Another manifest is another promise.
    let good = Models::cole_kripke();
    good.publish("cole_kripke", COLE_KRIPKE);
    fs::remove_dir_all(models.path("2")).unwrap();
    fs::rename(good.path("2"), models.path("2")).unwrap();
    let (server, _client) = restart().await;
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(status.serving.unwrap().0, version(2));
    assert_eq!(held(&models.store, 2), None);
}

#[tokio::test]
async fn what_another_release_has_judged_is_judged_again() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    models.publish("cole_kripke", b"not a model");
    drop(serve(&models).await);
    let path = models.path("2.quarantine.json");
    let marker = fs::read_to_string(&path).unwrap();
    let release = format!(r#""release": "{}""#, env!("CARGO_PKG_VERSION"));
    assert!(marker.contains(&release), "{marker}");
    fs::write(&path, marker.replace(&release, r#""release": "0.0.1""#)).unwrap();
    let (server, _client) = serve(&models).await;
    assert_eq!(
        metric(
            &server,
            r#"model_load_duration_seconds_count{model="cole_kripke"}"#
        ),
        2.0
    );
    assert_eq!(held(&models.store, 2), Some(QuarantineCause::Incompatible));
}

#[tokio::test]
async fn the_operator_withdraws_the_version_that_answers_and_gives_it_back() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    models.publish("cole_kripke", COLE_KRIPKE);
    let (server, client) = serve(&models).await;
    let mut watch = server.models().watch("cole_kripke").unwrap();
    assert_eq!(watch.current().serving.unwrap().0, version(2));
    let model = "cole_kripke".parse().unwrap();
    models
        .store
        .quarantine(&model, version(2), "a bad day")
        .unwrap();
    clock.run_out(1.0).await;
    let status = watch.wait_for(|now| now.attempts > 1).await;
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(
        (status.degraded, status.next_attempt),
        (None, None),
        "as it should be"
    );
    assert!(
        matches!(&status.versions[&version(2)], VersionStatus::Withdrawn { detail } if detail == "a bad day")
    );
    let second = client.get("/v2/models/cole_kripke/versions/2").await;
    second.assert_problem(404, "version_not_loaded");

    assert!(models.store.release(&model, version(2)).unwrap());
    clock.run_out(1.0).await;
    let status = watch.wait_for(|now| now.attempts > 2).await;
    assert_eq!(status.serving.unwrap().0, version(2));
}

/// There is nothing to take its place: an answer that the operator does not like is better than none, and says so.
#[tokio::test]
async fn a_withdrawn_version_answers_until_another_can() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    let (server, client) = serve(&models).await;
    models
        .store
        .quarantine(&"cole_kripke".parse().unwrap(), version(1), "old")
        .unwrap();
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(status.degraded, Some(Reason::ModelMissing));
    drop(server);
    // A server that is started then has no reason to serve it.
    let (_server, restarted) = serve(&models).await;
    drop(client);
    let refused = restarted.post(INFER, &short_request()).await;
    refused.assert_problem(503, "model_missing");
    refused.assert_says("all are withdrawn");
}

#[tokio::test]
async fn a_marker_of_garbage_holds() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    models.publish("cole_kripke", COLE_KRIPKE);
    fs::write(models.path("2.quarantine.json"), "{}").unwrap();
    let (server, _client) = serve(&models).await;
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(held(&models.store, 2), Some(QuarantineCause::Operator));
}

#[tokio::test]
async fn an_empty_folder_keeps_nobody_waiting_and_a_vanished_model_does() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    fs::create_dir(models.root().join("empty")).unwrap();
    let (server, client) = serve(&models).await;
    client
        .get("/v2/models/empty/ready")
        .await
        .assert_problem(503, "model_missing");
    assert_eq!(client.get("/v2/health/ready").await.status, 200);
    models.publish("empty", b"not a model");
    server.models().reload("empty").await.unwrap();
    assert_eq!(client.get("/v2/health/ready").await.status, 503);
    fs::remove_dir_all(models.root().join("empty")).unwrap();
    server.models().reload("empty").await.unwrap();
    client
        .get("/v2/health/ready")
        .await
        .assert_problem(503, "model_missing");
}

/// A folder that became a link cannot be looked into, whoever asks: unlike permissions, which do not bind everybody.
#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_cannot_be_looked_into_is_not_told_as_missing() {
    let _clock = ManualClock::start();
    let models = Models::empty();
    fs::create_dir(models.path("")).unwrap();
    let (server, client) = serve(&models).await;
    fs::remove_dir(models.path("")).unwrap();
    std::os::unix::fs::symlink("/", models.root().join("cole_kripke")).unwrap();
    server.models().reload("cole_kripke").await.unwrap();
    for path in ["/v2/models/cole_kripke/ready", "/v2/health/ready"] {
        let refused = client.get(path).await;
        refused.assert_problem(503, "model_unreadable");
        refused.assert_says("a symlink: models are real directories");
    }
}
