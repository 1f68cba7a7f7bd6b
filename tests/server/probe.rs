//! Versions that load well and answer wrongly.

use std::collections::BTreeMap;
use std::fs;

use clarity::{OnnxRuntime, Probe, Reason, Server, Source, try_version};
use serde_json::{Value, json};

use crate::support::faulty::{Faulty, Mood};
use crate::support::process::clarity;
use crate::support::*;

/// The probe of `cole_kripke`: a short request, and what it answered.
fn recorded() -> Probe {
    let models = Models::cole_kripke();
    let opened = models
        .store
        .open(&"cole_kripke".parse().unwrap(), version(1));
    let session = try_version(&OnnxRuntime::new(), opened.unwrap()).unwrap();
    let probe = Probe::parse(minutes(&[1.0; 7]).to_string().as_bytes()).unwrap();
    probe.record(&*session).unwrap()
}

fn publish(models: &Models, bytes: &[u8], probe: &Probe) {
    let (model, entry) = (
        "cole_kripke".parse().unwrap(),
        "model.onnx".parse().unwrap(),
    );
    let files = BTreeMap::from([("model.onnx".parse().unwrap(), Source::Bytes(bytes.to_vec()))]);
    let mut staged = models.store.stage(&model, &entry, &files).unwrap();
    staged.add_probe(probe).unwrap();
    staged.publish().unwrap();
}

/// Every byte is as promised, it loads, and its numbers are finite: only that they are others tells.
#[tokio::test]
async fn a_version_that_verifies_and_answers_wrongly_is_not_swapped_in() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    let (server, client) = serve(&models).await;
    publish(&models, &other_model(), &recorded());
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(reason_of(&status, 2), Some(Reason::ModelIncompatible));
    let bad = client.get("/v2/models/cole_kripke/versions/2").await;
    bad.assert_says("the probe failed: output sleep_index: expected ");
    publish(&models, COLE_KRIPKE, &recorded());
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(status.serving.unwrap().0, version(3));
    let answer = client.post(INFER, &short_request()).await.json();
    assert_eq!(
        answer["outputs"][0]["data"][0],
        json!(1.84),
        "a probe is not an input of the model"
    );
}

#[tokio::test]
async fn a_loaded_version_that_begins_to_answer_wrongly_does_not_stay() {
    let clock = ManualClock::start();
    let models = Models::empty();
    publish(&models, COLE_KRIPKE, &recorded());
    let faulty = Faulty::new();
    let builder = Server::builder(models.root()).config(config());
    let builder = builder.executor(clarity::Inline).runtime(faulty.runtime());
    let (server, client) = start(builder).await;
    let mut watch = server.models().watch("cole_kripke").unwrap();
    assert_eq!(faulty.runs(), 1);
    // Probed again, and good.
    clock.run_out(60.0).await;
    while faulty.runs() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(watch.current().serving.is_some());

    faulty.set(Mood::NotFinite);
    clock.run_out(60.0).await;
    let status = watch.wait_for(|now| now.serving.is_none()).await;
    assert_eq!(reason_of(&status, 1), Some(Reason::ModelIncompatible));
    assert_eq!(
        metric(
            &server,
            r#"model_probe_failures_total{model="cole_kripke"}"#
        ),
        1.0
    );
    let refused = client.post(INFER, &short_request()).await;
    refused.assert_problem(503, "model_incompatible");
    faulty.set(Mood::Well);
    server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(
        client.post(INFER, &short_request()).await.body,
        SHORT_ANSWER
    );
}

/// What is wrong in memory and right on disk is loaded again, without waiting for anything.
#[tokio::test]
async fn what_is_wrong_in_memory_alone_is_loaded_again() {
    let clock = ManualClock::start();
    let models = Models::empty();
    publish(&models, COLE_KRIPKE, &recorded());
    let faulty = Faulty::new();
    let builder = Server::builder(models.root()).config(config());
    let builder = builder.executor(clarity::Inline).runtime(faulty.runtime());
    let (server, client) = start(builder).await;
    let mut watch = server.models().watch("cole_kripke").unwrap();
    faulty.set(Mood::OneNotFinite);
    clock.run_out(60.0).await;
    let again = |now: &clarity::ModelStatus| now.attempts > 1 && now.serving.is_some();
    let status = watch.wait_for(again).await;
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
        client.post(INFER, &short_request()).await.body,
        SHORT_ANSWER
    );
}

#[test]
fn add_records_what_the_model_answers_and_refuses_another_answer() {
    let models = Models::empty();
    let model = models.root().join("some.onnx");
    let probe = models.root().join("request.json");
    fs::write(&model, COLE_KRIPKE).unwrap();
    let add = |request: &Value| {
        fs::write(&probe, request.to_string()).unwrap();
        let mut command = clarity();
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
        "the right answer may be given"
    );
    written["outputs"][0]["data"][0] = json!(1.9);
    let refused = add(&written);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("request.json: output sleep_index: expected 1.9 at 0, found 1.84"),
        "{said}"
    );
    let unfit = add(&json!({ "inputs": [] }));
    assert!(
        String::from_utf8(unfit.stderr)
            .unwrap()
            .contains("input activity: expected one tensor")
    );
    assert!(!models.root().join("sleep/3").exists());
}

/// Valid numbers whose sum is beyond single precision: the model cannot answer them, whatever it is made of.
#[tokio::test]
async fn inputs_that_overflow_do_not_open_the_breaker_of_a_model_that_passes_its_probe() {
    let _clock = ManualClock::start();
    let models = Models::empty();
    models.publish("cole_kripke", &other_model());
    let session = {
        let opened = models
            .store
            .open(&"cole_kripke".parse().unwrap(), version(1));
        try_version(&OnnxRuntime::new(), opened.unwrap()).unwrap()
    };
    let good = minutes(&[1.0; 7]);
    let probe = Probe::parse(good.to_string().as_bytes()).unwrap();
    publish(&models, &other_model(), &probe.record(&*session).unwrap());
    let faulty = Faulty::new();
    let builder = Server::builder(models.root()).config(config());
    let builder = builder.executor(clarity::Inline).runtime(faulty.runtime());
    let (server, client) = start(builder).await;
    let breaker = || server.models().breaker("cole_kripke").unwrap();
    for _ in 0..20 {
        let refused = client.post(INFER, &minutes(&[3e38; 7])).await;
        refused.assert_problem(503, "inference_failed");
    }
    assert_eq!(breaker().consecutive_failures, 0);
    assert_eq!(client.post(INFER, &good).await.status, 200);

    // Where the model itself is at fault the probe tells, and the breaker opens at the fifth as ever.
    faulty.set(Mood::NotFinite);
    for _ in 0..5 {
        let refused = client.post(INFER, &good).await;
        refused.assert_problem(503, "inference_failed");
    }
    let refused = client.post(INFER, &good).await;
    refused.assert_problem(503, "circuit_open");
}
