//! Models that draw random numbers are served only if their manifests allow it.

use std::collections::BTreeMap;
use std::fs;

use clarity::{RtenRuntime, Runtime, RuntimeError, Source};
use clarity_testbed::onnx::{DataType, value};
use clarity_testbed::*;
use serde_json::{Value, json};

use super::nonfinite::{run, text};
use super::onnxruntime::{library, numbers, one_node, serve_by};

/// A model that draws a number of the normal distribution for each element of its input.
fn noise() -> Vec<u8> {
    let tensor = |name| value(name, DataType::FLOAT, &[64]);
    one_node(tensor("x"), "RandomNormalLike", tensor("y"), |_| {})
}

fn publish(models: &Repository, is_allowed: bool) {
    let files = BTreeMap::from([("model.onnx".parse().unwrap(), Source::Bytes(noise()))]);
    let (name, entry) = ("m".parse().unwrap(), "model.onnx".parse().unwrap());
    let mut staged = models.store.stage(&name, &entry, &files).unwrap();
    if is_allowed {
        staged.allow_random().unwrap();
    }
    staged.publish().unwrap();
}

fn refusal(runtime: &dyn Runtime, is_allowed: bool) -> Option<RuntimeError> {
    let models = Repository::temporary();
    publish(&models, is_allowed);
    let opened = models.store.open(&"m".parse().unwrap(), version(1));
    clarity::try_version(runtime, opened.unwrap()).err()
}

#[test]
fn random_model_is_refused_unless_allowed() {
    let refused = refusal(&RtenRuntime::new(), false).unwrap();
    assert!(
        matches!(&refused, RuntimeError::Random(node) if node.operator == "RandomNormalLike"),
        "{refused}"
    );
    assert!(refused.to_string().contains("--allow-random"), "{refused}");
    // No claim of rten covers a random operator.
    let unclaimed = refusal(&RtenRuntime::new(), true).unwrap();
    assert!(
        matches!(unclaimed, RuntimeError::Unclaimed { .. }),
        "{unclaimed}"
    );
    if let Some(library) = library() {
        let refused = refusal(&library, false);
        assert!(
            matches!(refused, Some(RuntimeError::Random(_))),
            "{refused:?}"
        );
        let allowed = refusal(&library, true);
        assert!(allowed.is_none(), "{allowed:?}");
    }
}

#[tokio::test]
async fn allowed_model_answers_with_new_numbers() {
    let Some(library) = library() else { return };
    let models = Repository::temporary();
    publish(&models, true);
    let (_server, client) = serve_by(&library, &models).await;
    let input = json!({ "name": "x", "datatype": "FP32", "shape": [64], "data": vec![0; 64] });
    let request = json!({ "inputs": [input] });
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = client.post("/v2/models/m/infer", &request).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answers.push(numbers(&answer.json()["outputs"][0]["data"]));
    }
    assert_eq!(answers[0].len(), 64);
    assert_ne!(answers[0], answers[1]);
}

#[test]
fn add_declares_randomness_that_info_shows() {
    let dir = tempfile::tempdir().unwrap();
    let (models, file) = (dir.path().join("models"), dir.path().join("noise.onnx"));
    fs::write(&file, noise()).unwrap();
    let file = file.to_str().unwrap();
    let refused = run(&models, &["add", "m", file]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("--allow-random"),
        "{refused:?}"
    );
    // Without ONNX Runtime, no runtime runs the model.
    let allowed = ["add", "m", file, "--allow-random", "--no-check", "--json"];
    let added = run(&models, &allowed);
    assert_eq!(added.status.code(), Some(0), "{added:?}");
    let manifest: Value = serde_json::from_slice(&added.stdout).unwrap();
    assert_eq!(manifest["allow_random"], true);
    let info = run(&models, &["info", "m"]);
    assert!(
        text(&info.stdout).contains("may draw random numbers\n"),
        "{info:?}"
    );
}
