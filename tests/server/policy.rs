//! Several versions of a model at a time.

use std::fs;

use clarity::{Inline, Reason, Server, VersionStatus};
use serde_json::json;

use crate::support::*;

async fn serving(models: &Models, policy: &str) -> (Server, Client) {
    let mut config = config();
    config.versions = [("cole_kripke".parse().unwrap(), policy.parse().unwrap())].into();
    serve_with(models, config, Inline).await
}

/// Version 1 is the real one, 2 another, 3 and 4 the real one again.
fn four() -> Models {
    let models = Models::cole_kripke();
    models.publish("cole_kripke", &other_model());
    models.publish("cole_kripke", COLE_KRIPKE);
    models.publish("cole_kripke", COLE_KRIPKE);
    models
}

/// The first number of the answer for seven minutes of 1, which tells the two models apart.
async fn first(client: &Client, version: u64) -> serde_json::Value {
    let path = format!("/v2/models/cole_kripke/versions/{version}/infer");
    let answer = client.post(&path, &minutes(&[1.0; 7])).await.json();
    assert_eq!(answer["model_version"], version.to_string(), "{answer}");
    assert_eq!(
        answer.get("parameters"),
        None,
        "what was asked for is not degraded"
    );
    answer["outputs"][0]["data"][0].clone()
}

#[tokio::test]
async fn all_good_versions_answer_each_by_its_number() {
    let _clock = ManualClock::start();
    let models = four();
    models.flip_bit("3/model.onnx", 0);
    let (server, client) = serving(&models, "all").await;
    assert_eq!(first(&client, 2).await, json!(2.0));
    assert_eq!(first(&client, 1).await, first(&client, 4).await);
    assert_ne!(first(&client, 1).await, json!(2.0));
    let metadata = client.get("/v2/models/cole_kripke").await.json();
    assert_eq!(metadata["versions"], json!(["1", "2", "4"]));
    let bad = client.get("/v2/models/cole_kripke/versions/3").await;
    bad.assert_problem(503, "model_corrupt");
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(
        (status.serving.unwrap().0, status.degraded),
        (version(4), None)
    );
    assert!(status.next_attempt.is_some(), "version 3 is tried again");
}

#[tokio::test]
async fn only_the_versions_that_are_named_are_looked_into() {
    let _clock = ManualClock::start();
    let models = four();
    models.flip_bit("4/model.onnx", 0);
    let (server, client) = serving(&models, "1,2").await;
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(
        (status.serving.unwrap().0, status.degraded),
        (version(2), None)
    );
    assert_eq!(status.versions[&version(4)], VersionStatus::Standby);
    assert_eq!(first(&client, 2).await, json!(2.0));
    assert_ne!(first(&client, 1).await, json!(2.0));
    let left_out = client.get("/v2/models/cole_kripke/versions/3").await;
    left_out.assert_problem(404, "version_not_loaded");
}

#[tokio::test]
async fn versions_come_and_go_and_those_that_stay_are_not_loaded_again() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
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
    let status = watch.wait_for(|now| now.attempts > attempts).await;
    assert_eq!(status.serving.unwrap().0, version(2));
    assert_eq!(loads(), 2.0, "the first goes on as it is");
    assert_ne!(first(&client, 1).await, first(&client, 2).await);
    // Rotten on disk, it answers from memory; removed, it is gone.
    models.flip_bit("1/model.onnx", 7);
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(reason_of(&status, 1), Some(Reason::ModelCorrupt));
    assert_eq!(status.degraded, None, "the latest is as it should be");
    assert_ne!(first(&client, 1).await, json!(2.0));
    fs::remove_dir_all(models.path("1")).unwrap();
    server.models().reload("cole_kripke").await.unwrap();
    let gone = client.get("/v2/models/cole_kripke/versions/1").await;
    gone.assert_problem(404, "unknown_version");
    let model = "cole_kripke".parse().unwrap();
    models.publish("cole_kripke", COLE_KRIPKE);
    models.store.quarantine(&model, version(2), "no").unwrap();
    server.models().reload("cole_kripke").await.unwrap();
    let held = client.get("/v2/models/cole_kripke/versions/2").await;
    held.assert_problem(404, "version_not_loaded");
}
