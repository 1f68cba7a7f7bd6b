//! Outputs that may hold NaN and infinite values, and inputs that hold them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use clarity::{NonFiniteOutputs, Reason, Server, Source};
use clarity_testbed::onnx::{DataType, OPEN, model, node, value};
use clarity_testbed::*;
use serde_json::{Value, json};

use crate::CLARITY;

const NAME: &str = "logs";
const PATH: &str = "/v2/models/logs/infer";

/// A model whose output `mask` is always negative infinity. The output `log` is the logarithm of
/// the input `x`, `square` is its square, and `flag` tells whether it is positive.
fn bytes() -> Vec<u8> {
    let float = |name| value(name, DataType::FLOAT, &[OPEN]);
    let nodes = vec![
        node("Sub", &["x", "x"], "zero"),
        node("Log", &["zero"], "mask"),
        node("Log", &["x"], "log"),
        node("Mul", &["x", "x"], "square"),
        node("Greater", &["x", "zero"], "flag"),
    ];
    let flag = value("flag", DataType::BOOL, &[OPEN]);
    let outputs = vec![float("mask"), float("log"), float("square"), flag];
    model(vec![float("x")], nodes, outputs)
}

/// Publishes the model with a declaration of these outputs.
fn publish(models: &Repository, outputs: &[&str]) {
    let files = BTreeMap::from([("model.onnx".parse().unwrap(), Source::Bytes(bytes()))]);
    let (name, entry) = (NAME.parse().unwrap(), "model.onnx".parse().unwrap());
    let mut staged = models.store.stage(&name, &entry, &files).unwrap();
    let outputs = NonFiniteOutputs::of(outputs.iter().copied());
    staged.allow_nonfinite(outputs).unwrap();
    staged.publish().unwrap();
}

async fn serve_declared(outputs: &[&str]) -> (Repository, Server, Client) {
    let models = Repository::temporary();
    publish(&models, outputs);
    let (server, client) = serve(&models).await;
    (models, server, client)
}

fn request(data: &Value) -> Value {
    let size = data.as_array().unwrap().len();
    json!({ "inputs": [{ "name": "x", "datatype": "FP32", "shape": [size], "data": data }] })
}

fn failures(server: &Server) -> u32 {
    server.models().breaker(NAME).unwrap().consecutive_failures
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks();
    chunks
        .iter()
        .map(|chunk| f32::from_le_bytes(*chunk))
        .collect()
}

#[tokio::test]
async fn declared_outputs_are_answered_in_json_and_binary() {
    let (_models, server, client) = serve_declared(&["mask", "log"]).await;
    let answer = client
        .post(PATH, &request(&json!([1, 0, -1])))
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = answer.json();
    let lists = [
        json!(["-Infinity", "-Infinity", "-Infinity"]),
        json!([0.0, "-Infinity", "NaN"]),
        json!([1.0, 0.0, 1.0]),
    ];
    for (output, data) in answer["outputs"].as_array().unwrap().iter().zip(lists) {
        assert_eq!(output["data"], data, "{output}");
        assert_eq!(output["datatype"], "FP32");
    }

    let mut binary = request(&json!([1, 0, -1]));
    binary["outputs"] = json!([
        { "name": "log", "parameters": { "binary_data": true } },
        { "name": "mask", "parameters": { "binary_data": true } },
    ]);
    let answer = client.post_binary(PATH, &binary, &[]).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let found = floats(&answer.binary);
    assert_eq!(found[..2], [0.0, f32::NEG_INFINITY]);
    assert!(found[2].is_nan());
    assert_eq!(found[3..], [f32::NEG_INFINITY; 3]);
    assert_eq!(failures(&server), 0);
}

#[tokio::test]
async fn metadata_marks_declared_outputs() {
    let (_models, _server, client) = serve_declared(&["mask", "log"]).await;
    let metadata = client.get("/v2/models/logs").await.unwrap().json();
    for (place, expected) in [true, true, false, false].into_iter().enumerate() {
        let output = &metadata["outputs"][place];
        assert_eq!(output["parameters"]["allow_nonfinite"] == true, expected);
        assert_eq!(output.get("parameters").is_some(), expected, "{output}");
    }
    assert!(metadata["inputs"][0].get("parameters").is_none());

    let (_models, _server, client) = serve_declared(&["all"]).await;
    let metadata = client.get("/v2/models/logs").await.unwrap().json();
    assert_eq!(
        metadata["outputs"][2]["parameters"]["allow_nonfinite"],
        true
    );
    assert!(metadata["outputs"][3].get("parameters").is_none(), "BOOL");
}

/// The input is finite, so the model is at fault, as for any model.
#[tokio::test]
async fn undeclared_output_stays_a_failure() {
    let (_models, server, client) = serve_declared(&["mask", "log"]).await;
    let refused = client
        .post(PATH, &request(&json!([1, 3e38])))
        .await
        .unwrap();
    refused.assert_problem(503, "inference_failed");
    refused.assert_says("output square: the value at 1 is inf, expected a finite one");
    assert_eq!(failures(&server), 1);
}

/// Every client can send NaN, so NaN that gives NaN must not open the breaker for others.
#[tokio::test]
async fn nonfinite_input_is_read_and_is_no_failure_of_the_model() {
    let (_models, server, client) = serve_declared(&["all"]).await;
    let data = json!(["NaN", "Infinity", "-Infinity", 2]);
    let answer = client.post(PATH, &request(&data)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = answer.json();
    assert_eq!(
        answer["outputs"][2]["data"],
        json!(["NaN", "Infinity", "Infinity", 4.0])
    );
    assert_eq!(answer["outputs"][3]["data"][3], true);
    let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.0];
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let mut binary = request(&json!([1, 2, 3, 4]));
    let input = binary["inputs"][0].as_object_mut().unwrap();
    input.remove("data");
    input.insert(
        "parameters".to_owned(),
        json!({ "binary_data_size": bytes.len() }),
    );
    let same = client.post_binary(PATH, &binary, &bytes).await.unwrap();
    assert_eq!(
        same.json["outputs"][2]["data"],
        answer["outputs"][2]["data"]
    );
    drop(server);

    let (_models, server, client) = serve_declared(&["mask", "log"]).await;
    for _ in 0..10 {
        let refused = client
            .post(PATH, &request(&json!([1, "-Infinity"])))
            .await
            .unwrap();
        refused.assert_problem(400, "invalid_request");
        refused.assert_says(
            "input x: the value at 1 is -inf, which gave output square: the value at 1 is inf",
        );
    }
    assert_eq!(failures(&server), 0);
    let answer = client.post(PATH, &request(&json!([1]))).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn other_text_as_a_number_is_400_and_names_the_strings() {
    let (_models, _server, client) = serve_declared(&["all"]).await;
    for text in ["nan", "inf", "+Infinity", "1.0", "", "NaN "] {
        let refused = client.post(PATH, &request(&json!([text]))).await.unwrap();
        refused.assert_problem(400, "invalid_request");
        refused.assert_says(&format!(
            "invalid type: string {text:?}, expected 1 elements"
        ));
        refused.assert_says(r#"or "NaN", "Infinity" or "-Infinity""#);
    }
    let literal = request(&json!([1])).to_string().replace("[1],", "[NaN],");
    let refused = client.post_text(PATH, literal).await.unwrap();
    refused.assert_problem(400, "invalid_request");
    refused.assert_says(r#"expected the string "NaN", found the literal NaN, which is not JSON"#);
}

#[tokio::test]
async fn version_without_the_right_declaration_is_refused() {
    for (outputs, says) in [
        (
            &[][..],
            "output mask: the value at 0 is -inf, expected a finite one",
        ),
        (
            &["log"],
            "output mask: the value at 0 is -inf, expected a finite one",
        ),
        (
            &["mask", "logs"],
            "logs: allow_nonfinite: expected a floating-point output of this name, found only mask, log, square, flag",
        ),
        (
            &["mask", "flag"],
            "flag: allow_nonfinite: expected a floating-point output of this name, found the datatype BOOL",
        ),
        (
            &["mask", "x"],
            "x: allow_nonfinite: expected a floating-point output",
        ),
    ] {
        let (_models, server, client) = serve_declared(outputs).await;
        let status = server.models().status(NAME).unwrap();
        assert_eq!(reason_of(&status, 1), Some(Reason::ModelIncompatible));
        let refused = client.post(PATH, &request(&json!([1]))).await.unwrap();
        refused.assert_problem(503, "model_incompatible");
        refused.assert_says(says);
    }
}

pub(super) fn run(models: &Path, args: &[&str]) -> Output {
    let mut command = command(CLARITY);
    command.args(args).arg("--models").arg(models);
    command.output().unwrap()
}

pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn add_declares_outputs_that_info_and_verify_show() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models");
    let file = dir.path().join("some.onnx");
    fs::write(&file, bytes()).unwrap();
    let file = file.to_str().unwrap();
    let refused = run(&models, &["add", NAME, file]);
    assert_eq!(refused.status.code(), Some(1));
    let says = "output mask: the value at 0 is -inf, expected a finite one";
    assert!(text(&refused.stderr).contains(says), "{refused:?}");
    assert!(
        text(&refused.stderr).contains("--allow-nonfinite"),
        "{refused:?}"
    );
    let typo = run(&models, &["add", NAME, file, "--allow-nonfinite", "maks"]);
    assert_eq!(typo.status.code(), Some(1));
    assert!(
        text(&typo.stderr).contains("found only mask, log, square, flag"),
        "{typo:?}"
    );
    assert!(!models.join(NAME).exists());

    let declared = ["--allow-nonfinite", "mask", "--allow-nonfinite", "log"];
    let added = run(&models, &[&["add", NAME, file], &declared[..]].concat());
    assert_eq!(added.status.code(), Some(0), "{added:?}");
    assert!(
        text(&added.stdout).contains("may be NaN or infinite: log, mask"),
        "{added:?}"
    );
    let probe = dir.path().join("request.json");
    fs::write(&probe, request(&json!([0, "-Infinity", 1])).to_string()).unwrap();
    let all = [
        "--allow-nonfinite",
        "all",
        "--json",
        "--probe",
        probe.to_str().unwrap(),
    ];
    let added = run(&models, &[&["add", NAME, file], &all[..]].concat());
    assert_eq!(added.status.code(), Some(0), "{added:?}");
    let manifest: Value = serde_json::from_slice(&added.stdout).unwrap();
    assert_eq!(manifest["allow_nonfinite"], "all");
    let recorded = fs::read(models.join("logs/2/probe.json")).unwrap();
    let recorded: Value = serde_json::from_slice(&recorded).unwrap();
    assert_eq!(
        recorded["outputs"][1]["data"],
        json!(["-Infinity", "NaN", 0.0])
    );

    let info = run(&models, &["info", NAME]);
    let info = text(&info.stdout);
    assert!(
        info.contains("outputs that may be NaN or infinite: log, mask\n"),
        "{info}"
    );
    assert!(
        info.contains("outputs that may be NaN or infinite: all\n"),
        "{info}"
    );
    let verify = run(&models, &["verify"]);
    assert_eq!(verify.status.code(), Some(0));
    assert!(
        text(&verify.stdout).contains("may be NaN or infinite: log, mask"),
        "{verify:?}"
    );
    let verify = run(&models, &["verify", "--json"]);
    let found: Value = serde_json::from_slice(&verify.stdout).unwrap();
    assert_eq!(
        found[0]["allow_nonfinite"],
        json!({ "log": true, "mask": true })
    );
    assert_eq!(
        (&found[1]["allow_nonfinite"], &found[1]["ok"]),
        (&json!("all"), &json!(true))
    );
}

/// The server vets each version in a child process, which gets the same declaration.
#[tokio::test(flavor = "multi_thread")]
async fn server_with_a_vetting_process_serves_a_declared_version() {
    let models = Repository::temporary();
    publish(&models, &["mask", "log"]);
    let server = ServerProcess::start(CLARITY, models.root(), &[]);
    let answer = until_some("an answer", async || {
        let answer = server
            .client
            .post(PATH, &request(&json!([0])))
            .await
            .unwrap();
        assert_ne!(
            answer.member("reason").unwrap_or_default(),
            "model_incompatible"
        );
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(answer.json()["outputs"][1]["data"], json!(["-Infinity"]));
}
