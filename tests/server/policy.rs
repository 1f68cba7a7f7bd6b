//! Models that serve several versions.

use std::fs;

use clarity::{Inline, Reason, Server, VersionStatus};
use clarity_testbed::*;
use serde_json::json;

async fn serving(models: &Repository, policy: &str) -> (Server, Client) {
    let mut config = config();
    config.versions = [("cole_kripke".parse().unwrap(), policy.parse().unwrap())].into();
    serve_with(models, config, Inline).await
}

/// A repository in which versions 1, 3 and 4 are the published model, and version 2 is another.
fn four_versions() -> Repository {
    let models = Repository::temporary_with_model();
    models.publish("cole_kripke", &other_model());
    models.publish("cole_kripke", MODEL_BYTES);
    models.publish("cole_kripke", MODEL_BYTES);
    models
}

/// The first number of a version's answer to seven minutes of 1. It differs between the two models.
async fn first(client: &Client, version: u64) -> f64 {
    let path = format!("/v2/models/cole_kripke/versions/{version}/infer");
    let answer = client
        .post(&path, &cole_kripke::request(&[1.0; 7]))
        .await
        .unwrap()
        .json();
    assert_eq!(answer["model_version"], version.to_string(), "{answer}");
    assert_eq!(
        answer.get("parameters"),
        None,
        "the requested version is degraded"
    );
    answer["outputs"][0]["data"][0].as_f64().unwrap()
}

#[tokio::test]
async fn policy_all_serves_every_good_version() {
    let _clock = ManualClock::start();
    let models = four_versions();
    models.flip_bit("3/model.onnx", 0);
    let (server, client) = serving(&models, "all").await;
    assert_eq!(first(&client, 2).await, 2.0);
    assert_eq!(first(&client, 1).await, first(&client, 4).await);
    assert_ne!(first(&client, 1).await, 2.0);
    let metadata = client.get("/v2/models/cole_kripke").await.unwrap().json();
    assert_eq!(metadata["versions"], json!(["1", "2", "4"]));
    let bad = client
        .get("/v2/models/cole_kripke/versions/3")
        .await
        .unwrap();
    bad.assert_problem(503, "model_corrupt");
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(
        (status.serving.unwrap().0, status.degraded),
        (version(4), None)
    );
    assert!(
        status.next_attempt.is_some(),
        "version 3 is not tried again"
    );
}

#[tokio::test]
async fn policy_of_numbers_serves_those_versions_only() {
    let _clock = ManualClock::start();
    let models = four_versions();
    models.flip_bit("4/model.onnx", 0);
    let (server, client) = serving(&models, "1,2").await;
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(
        (status.serving.unwrap().0, status.degraded),
        (version(2), None)
    );
    assert_eq!(status.versions[&version(4)], VersionStatus::Standby);
    assert_eq!(first(&client, 2).await, 2.0);
    assert_ne!(first(&client, 1).await, 2.0);
    let left_out = client
        .get("/v2/models/cole_kripke/versions/3")
        .await
        .unwrap();
    left_out.assert_problem(404, "version_not_loaded");
}

#[tokio::test]
async fn loaded_versions_stay_while_others_come_and_go() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let (server, client) = serving(&models, "all").await;
    let loads = || {
        metric(
            &server,
            r#"model_load_duration_seconds_count{model="cole_kripke"}"#,
        )
    };
    let mut watch = server.models().watch("cole_kripke").unwrap();
    let attempts = watch.current().attempts;
    models.publish("cole_kripke", &other_model());
    clock.run_out(1.0).await;
    let status = within("a status", watch.wait_for(|now| now.attempts > attempts)).await;
    assert_eq!(status.serving.unwrap().0, version(2));
    assert_eq!(loads(), 2.0, "the first version was loaded again");
    assert_ne!(first(&client, 1).await, first(&client, 2).await);
    // Damaged on disk, the version answers from memory; once removed, it is unknown.
    models.flip_bit("1/model.onnx", 7);
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(reason_of(&status, 1), Some(Reason::ModelCorrupt));
    assert_eq!(status.degraded, None, "the latest version is good");
    assert_ne!(first(&client, 1).await, 2.0);
    fs::remove_dir_all(models.path("1")).unwrap();
    server.models().reload("cole_kripke").await.unwrap();
    let gone = client
        .get("/v2/models/cole_kripke/versions/1")
        .await
        .unwrap();
    gone.assert_problem(404, "unknown_version");
    let model = "cole_kripke".parse().unwrap();
    models.publish("cole_kripke", MODEL_BYTES);
    models.store.quarantine(&model, version(2), "no").unwrap();
    server.models().reload("cole_kripke").await.unwrap();
    let held = client
        .get("/v2/models/cole_kripke/versions/2")
        .await
        .unwrap();
    held.assert_problem(404, "version_not_loaded");
}
