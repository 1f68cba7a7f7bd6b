//! Damage, fallback, swap and recovery, with a clock that the tests control.

use std::fs;

use clarity::{Reason, VersionStatus};
use clarity_testbed::*;
use serde_json::json;

#[tokio::test]
async fn flipped_bit_is_503_until_it_is_repaired() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.flip_bit("1/model.onnx", 2000);
    let (server, client) = serve(&models).await;
    for response in [
        client.post(INFER, &short_request()).await.unwrap(),
        client.get("/v2/models/cole_kripke").await.unwrap(),
        client.get("/v2/models/cole_kripke/ready").await.unwrap(),
        client
            .get("/v2/models/cole_kripke/versions/1/ready")
            .await
            .unwrap(),
        client.get("/v2/health/ready").await.unwrap(),
    ] {
        response.assert_problem(503, "model_corrupt");
        response.assert_says("version 1: model.onnx: expected SHA-256 837b04d3");
        assert_eq!(response.json()["model"], "cole_kripke");
        assert!(response.retry_after().is_some());
    }
    assert_eq!(client.get("/v2/health/live").await.unwrap().status, 200);
    models.flip_bit("1/model.onnx", 2000);
    server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().body,
        SHORT_ANSWER
    );
    assert_eq!(client.get("/v2/health/ready").await.unwrap().status, 200);
}

#[tokio::test]
async fn bad_new_version_leaves_the_old_one_answering() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let (server, client) = serve(&models).await;
    models.publish("cole_kripke", &other_model());
    models.flip_bit("2/model.onnx", 100);
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(status.degraded, Some(Reason::ModelCorrupt));
    assert_eq!(reason_of(&status, 2), Some(Reason::ModelCorrupt));

    let answer = client.post(INFER, &short_request()).await.unwrap().json();
    assert_eq!(answer["model_version"], "1");
    assert_eq!(
        answer["parameters"],
        json!({ "degraded": true, "degraded_reason": "model_corrupt" })
    );
    let right: serde_json::Value = serde_json::from_str(SHORT_ANSWER).unwrap();
    assert_eq!(answer["outputs"], right["outputs"]);
    assert_eq!(
        client.get("/v2/health/ready").await.unwrap().status,
        200,
        "an older good version is not ready"
    );
    assert_eq!(
        client
            .get("/v2/models/cole_kripke/ready")
            .await
            .unwrap()
            .status,
        200
    );
    let bad = client
        .post("/v2/models/cole_kripke/versions/2/infer", &short_request())
        .await
        .unwrap();
    bad.assert_problem(503, "model_corrupt");
    assert!(bad.retry_after().is_some());

    models.flip_bit("2/model.onnx", 100);
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(
        (status.serving.unwrap().0, status.degraded),
        (version(2), None)
    );
    let answer = client
        .post(INFER, &cole_kripke::request(&[1.0; 7]))
        .await
        .unwrap()
        .json();
    assert_eq!(
        (&answer["model_version"], answer.get("parameters")),
        (&json!("2"), None)
    );
    assert_eq!(
        answer["outputs"][0]["data"],
        json!([2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    );
}

#[tokio::test]
async fn server_starts_with_the_newest_good_version() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    for _ in 0..3 {
        models.publish("cole_kripke", MODEL_BYTES);
    }
    models.flip_bit("4/model.onnx", 0);
    fs::remove_file(models.path("3/manifest.json")).unwrap();
    let (server, _client) = serve(&models).await;
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(status.serving.unwrap().0, version(2));
    assert_eq!(
        status.degraded,
        Some(Reason::ModelCorrupt),
        "not the reason of the newest version"
    );
    assert_eq!(reason_of(&status, 3), Some(Reason::Unverified));
    assert_eq!(status.versions[&version(1)], VersionStatus::Standby);
}

#[tokio::test]
async fn bad_model_leaves_the_others_answering() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.publish("bad", b"not a model at all");
    fs::create_dir(models.root().join("empty")).unwrap();
    let (_server, client) = serve(&models).await;
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().body,
        SHORT_ANSWER
    );
    let bad = client.get("/v2/models/bad/ready").await.unwrap();
    bad.assert_problem(503, "model_incompatible");
    bad.assert_says("version 1: the runtime cannot load the model");
    client
        .get("/v2/models/empty/ready")
        .await
        .unwrap()
        .assert_problem(503, "model_missing");
    assert_eq!(client.get("/v2/health/ready").await.unwrap().status, 200);
}

#[tokio::test]
async fn loaded_version_answers_when_its_files_rot_or_vanish() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.publish("cole_kripke", MODEL_BYTES);
    let (server, client) = serve(&models).await;
    let right = client.post(INFER, &short_request()).await.unwrap().json();
    type Damage = fn(&Repository);
    let damages: [(Damage, Reason); 4] = [
        (
            |models| models.flip_bit("2/model.onnx", 9),
            Reason::ModelCorrupt,
        ),
        (
            |models| fs::remove_file(models.path("2/model.onnx")).unwrap(),
            Reason::ModelMissing,
        ),
        (
            |models| fs::remove_dir_all(models.path("2")).unwrap(),
            Reason::ModelMissing,
        ),
        (
            |models| fs::remove_dir_all(models.path("")).unwrap(),
            Reason::ModelMissing,
        ),
    ];
    for (damage, reason) in damages {
        damage(&models);
        let status = server.models().reload("cole_kripke").await.unwrap();
        assert_eq!(
            status.serving.unwrap().0,
            version(2),
            "the older version has replaced the one in memory"
        );
        assert_eq!(status.degraded, Some(reason));
        assert!(status.next_attempt.is_some());
        let answer = client.post(INFER, &short_request()).await.unwrap().json();
        assert_eq!(answer["outputs"], right["outputs"]);
        assert_eq!(answer["parameters"]["degraded_reason"], reason.as_str());
    }
    assert_eq!(client.get("/v2/health/ready").await.unwrap().status, 200);
}

#[tokio::test]
async fn model_whose_directory_vanished_stays_known() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.flip_bit("1/model.onnx", 0);
    let (server, client) = serve(&models).await;
    fs::remove_dir_all(models.path("")).unwrap();
    server.models().reload("cole_kripke").await.unwrap();
    client
        .post(INFER, &short_request())
        .await
        .unwrap()
        .assert_problem(503, "model_missing");
    models.publish("cole_kripke", MODEL_BYTES);
    server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().body,
        SHORT_ANSWER
    );
}

#[tokio::test]
async fn unverified_version_is_served_only_where_allowed() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.publish("cole_kripke", &other_model());
    fs::remove_file(models.path("2/manifest.json")).unwrap();
    let (_server, client) = serve(&models).await;
    let answer = client
        .post(INFER, &cole_kripke::request(&[1.0; 7]))
        .await
        .unwrap()
        .json();
    assert_eq!(answer["model_version"], "1");

    let mut allowing = config();
    allowing.reload.allow_unverified = true;
    let (server, client) = serve_with(&models, allowing, clarity::Inline).await;
    let answer = client
        .post(INFER, &cole_kripke::request(&[1.0; 7]))
        .await
        .unwrap()
        .json();
    assert_eq!(answer["model_version"], "2");
    assert_eq!(answer["parameters"], json!({ "unverified": true }));
    // Even if unverified versions are allowed, a version with a manifest is verified.
    let good = Repository::temporary_with_model();
    good.publish("cole_kripke", &other_model());
    fs::copy(good.path("2/manifest.json"), models.path("2/manifest.json")).unwrap();
    server.models().reload("cole_kripke").await.unwrap();
    let answer = client
        .post(INFER, &cole_kripke::request(&[1.0; 7]))
        .await
        .unwrap()
        .json();
    assert_eq!(
        (&answer["model_version"], answer.get("parameters")),
        (&json!("2"), None)
    );
    models.publish("cole_kripke", MODEL_BYTES);
    models.flip_bit("3/model.onnx", 5);
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(reason_of(&status, 3), Some(Reason::ModelCorrupt));
    fs::create_dir(models.path("4")).unwrap();
    fs::write(models.path("4/weights.bin"), "1").unwrap();
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(reason_of(&status, 4), Some(Reason::Unverified));
}
