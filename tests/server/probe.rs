//! Versions that load but answer wrongly.

use std::collections::BTreeMap;
use std::fs;

use clarity::{BreakerState, Probe, Reason, RtenRuntime, Server, Source, try_version};
use clarity_testbed::*;
use serde_json::{Value, json};

use crate::CLARITY;

/// The probe of `cole_kripke`: a short request and the recorded answer.
fn recorded() -> Probe {
    let models = Repository::temporary_with_model();
    let opened = models
        .store
        .open(&"cole_kripke".parse().unwrap(), version(1));
    let session = try_version(&RtenRuntime::new(), opened.unwrap()).unwrap();
    let probe = Probe::parse(cole_kripke::request(&[1.0; 7]).to_string().as_bytes()).unwrap();
    probe.record(&*session).unwrap()
}

/// A repository with version 1 of `cole_kripke`, with its probe.
pub(crate) fn repository_with_probe() -> Repository {
    let models = Repository::temporary();
    publish(&models, MODEL_BYTES, &recorded());
    models
}

fn publish(models: &Repository, bytes: &[u8], probe: &Probe) {
    let (model, entry) = (
        "cole_kripke".parse().unwrap(),
        "model.onnx".parse().unwrap(),
    );
    let files = BTreeMap::from([("model.onnx".parse().unwrap(), Source::Bytes(bytes.to_vec()))]);
    let mut staged = models.store.stage(&model, &entry, &files).unwrap();
    staged.add_probe(probe).unwrap();
    staged.publish().unwrap();
}

/// Every byte verifies, the version loads, and its numbers are finite but wrong.
#[tokio::test]
async fn version_that_fails_its_probe_is_not_swapped_in() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let (server, client) = serve(&models).await;
    publish(&models, &other_model(), &recorded());
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(reason_of(&status, 2), Some(Reason::ModelIncompatible));
    let bad = client
        .get("/v2/models/cole_kripke/versions/2")
        .await
        .unwrap();
    bad.assert_says("the probe failed: output sleep_index: expected ");
    publish(&models, MODEL_BYTES, &recorded());
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(status.serving.unwrap().0, version(3));
    let answer = client.post(INFER, &short_request()).await.unwrap().json();
    assert_eq!(
        answer["outputs"][0]["data"][0],
        json!(1.84),
        "the probe has become an input of the model"
    );
}

#[tokio::test]
async fn loaded_version_that_fails_its_probe_is_unloaded() {
    let clock = ManualClock::start();
    let models = Repository::temporary();
    publish(&models, MODEL_BYTES, &recorded());
    let faulty = FaultSwitch::new();
    let builder = Server::builder(models.root()).config(config());
    let builder = builder.executor(clarity::Inline).runtime(faulty.runtime());
    let (server, client) = start(builder).await;
    let mut watch = server.models().watch("cole_kripke").unwrap();
    assert_eq!(faulty.runs(), 1);
    // The version is probed again, and passes.
    clock.run_out(60.0).await;
    faulty.until_runs(2).await;
    assert!(watch.current().serving.is_some());

    faulty.set(Behaviour::NotFinite);
    clock.run_out(60.0).await;
    let status = within("a status", watch.wait_for(|now| now.serving.is_none())).await;
    assert_eq!(reason_of(&status, 1), Some(Reason::ModelIncompatible));
    assert_eq!(
        metric(
            &server,
            r#"model_probe_failures_total{model="cole_kripke"}"#
        ),
        1.0
    );
    let refused = client.post(INFER, &short_request()).await.unwrap();
    refused.assert_problem(503, "model_incompatible");
    let metrics = server.metrics().render();
    assert!(!metrics.contains("model_version_info{"), "{metrics}");
    faulty.set(Behaviour::Normal);
    server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().body,
        SHORT_ANSWER
    );
}

#[tokio::test]
async fn version_wrong_in_memory_only_is_loaded_again() {
    let clock = ManualClock::start();
    let models = Repository::temporary();
    publish(&models, MODEL_BYTES, &recorded());
    let faulty = FaultSwitch::new();
    let builder = Server::builder(models.root()).config(config());
    let builder = builder.executor(clarity::Inline).runtime(faulty.runtime());
    let (server, client) = start(builder).await;
    let mut watch = server.models().watch("cole_kripke").unwrap();
    faulty.set(Behaviour::NotFiniteOnce);
    clock.run_out(60.0).await;
    let again = |now: &clarity::ModelStatus| now.attempts > 1 && now.serving.is_some();
    let status = within("a status", watch.wait_for(again)).await;
    assert_eq!(
        (status.serving.unwrap().0, status.degraded),
        (version(1), None)
    );
    assert_eq!(
        metric(
            &server,
            r#"model_probe_failures_total{model="cole_kripke"}"#
        ),
        1.0
    );
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().body,
        SHORT_ANSWER
    );
}

#[test]
fn add_records_the_answer_and_refuses_another() {
    let models = Repository::temporary();
    let model = models.root().join("some.onnx");
    let probe = models.root().join("request.json");
    fs::write(&model, MODEL_BYTES).unwrap();
    let add = |request: &Value| {
        fs::write(&probe, request.to_string()).unwrap();
        let mut command = command(CLARITY);
        command.args(["add", "sleep", "--json"]).arg(&model);
        command
            .arg("--probe")
            .arg(&probe)
            .arg("--models")
            .arg(models.root());
        command.output().unwrap()
    };
    let added = add(&short_request());
    assert_eq!(added.status.code(), Some(0), "{added:?}");
    let manifest: Value = serde_json::from_slice(&added.stdout).unwrap();
    assert_eq!(manifest["probe"], "probe.json");
    let written = fs::read(models.root().join("sleep/1/probe.json")).unwrap();
    let mut written: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(written["outputs"][0]["data"][0], 1.84);

    assert_eq!(
        add(&written).status.code(),
        Some(0),
        "add refuses the right answer"
    );
    written["outputs"][0]["data"][0] = json!(1.9);
    let refused = add(&written);
    assert_eq!(refused.status.code(), Some(1));
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert!(
        stderr.contains("request.json: the probe failed: output sleep_index: expected 1.9 at 0"),
        "{stderr}"
    );
    let unfit = add(&json!({ "inputs": [] }));
    assert_eq!(unfit.status.code(), Some(1));
    assert!(
        String::from_utf8(unfit.stderr)
            .unwrap()
            .contains("input activity: expected one tensor")
    );
    assert!(!models.root().join("sleep/3").exists());
}

/// The sum of these valid numbers exceeds single precision, so no model can answer.
#[tokio::test]
async fn overflowing_inputs_do_not_open_the_breaker() {
    let clock = ManualClock::start();
    let models = Repository::temporary();
    models.publish("cole_kripke", &other_model());
    let session = {
        let opened = models
            .store
            .open(&"cole_kripke".parse().unwrap(), version(1));
        try_version(&RtenRuntime::new(), opened.unwrap()).unwrap()
    };
    let good = cole_kripke::request(&[1.0; 7]);
    let probe = Probe::parse(good.to_string().as_bytes()).unwrap();
    publish(&models, &other_model(), &probe.record(&*session).unwrap());
    let faulty = FaultSwitch::new();
    let builder = Server::builder(models.root()).config(config());
    let builder = builder.executor(clarity::Inline).runtime(faulty.runtime());
    let (server, client) = start(builder).await;
    let breaker = || server.models().breaker("cole_kripke").unwrap();
    for failures in 1..=20 {
        let refused = client
            .post(INFER, &cole_kripke::request(&[3e38; 7]))
            .await
            .unwrap();
        match failures {
            1..5 => refused.assert_problem(503, "inference_failed"),
            _ => refused.assert_problem(422, "input_rejected"),
        }
    }
    assert_eq!(breaker().state, BreakerState::Closed);
    assert_eq!(client.post(INFER, &good).await.unwrap().status, 200);

    // A model that fails its probe is at fault, so the breaker opens at the fifth failure. The last
    // verdict holds for a second.
    clock.run_out(1.0).await;
    faulty.set(Behaviour::NotFinite);
    for _ in 0..5 {
        let refused = client.post(INFER, &good).await.unwrap();
        refused.assert_problem(503, "inference_failed");
    }
    let refused = client.post(INFER, &good).await.unwrap();
    refused.assert_problem(503, "circuit_open");
}
