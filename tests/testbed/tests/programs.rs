//! The programs of this package, by their binaries.
//!
//! Because of this file, `cargo test --workspace` builds the programs, with its own features: the
//! scripts in `.ci` and `tests/operators` run these binaries.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use clarity_testbed::onnx;
use serde_json::{Value, json};

const RUN_MODELS: &str = env!("CARGO_BIN_EXE_run_models");

#[test]
fn run_models_lists_claims_as_lines_of_json() {
    let listed = Command::new(RUN_MODELS).arg("--list-claims").output();
    let listed = listed.unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let text = String::from_utf8(listed.stdout).unwrap();
    let claims = text.lines().map(serde_json::from_str::<Value>);
    let operators: Vec<Value> = claims
        .map(|claim| claim.unwrap()["operator"].clone())
        .collect();
    assert!(operators.contains(&json!("Add")), "{operators:?}");
}

/// The header of the answer to a request, after which the program ends with its input.
fn answer(mut header: Value, model: &[u8], input: &[u8]) -> Value {
    let mut program = Command::new(RUN_MODELS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    header["model"] = json!(model.len());
    let header = header.to_string().into_bytes();
    let length = u32::try_from(header.len()).unwrap().to_le_bytes();
    let request = [&length, &header[..], model, input].concat();
    program.stdin.take().unwrap().write_all(&request).unwrap();
    let mut answer = Vec::new();
    let mut output = program.stdout.take().unwrap();
    output.read_to_end(&mut answer).unwrap();
    assert!(program.wait().unwrap().success());
    let (length, rest) = answer.split_first_chunk::<4>().unwrap();
    let header = &rest[..u32::from_le_bytes(*length) as usize];
    serde_json::from_slice(header).unwrap()
}

#[test]
fn run_models_refuses_a_broken_model_and_ends_with_its_input() {
    let header = json!({
        "id": 7, "runtime": "rten", "claims": true, "rewrite": true, "dropped": null, "inputs": [],
    });
    let answer = answer(header, b"abc", &[]);
    assert_eq!(answer["id"], 7);
    assert_eq!(answer["result"], "refused", "{answer}");
}

#[test]
fn run_models_without_rewriting_replaces_no_node() {
    // Softplus has no claim: it is served by its replacement.
    let node = onnx::node("Softplus", &["x"], "y");
    let value = |name| onnx::value(name, onnx::DataType::FLOAT, &[1]);
    let model = onnx::model_with_weights(vec![value("x")], vec![node], vec![value("y")], vec![]);
    for (rewrite, result, stage) in [(true, "answered", "run"), (false, "refused", "claims")] {
        let header = json!({
            "id": 1, "runtime": "rten", "claims": true, "rewrite": rewrite, "dropped": null,
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "bytes": 4}],
        });
        let answer = answer(header, &model, &1_f32.to_le_bytes());
        assert_eq!(answer["result"], result, "{answer}");
        assert_eq!(answer["stage"], stage, "{answer}");
    }
}

#[test]
fn serve_echo_ends_with_its_input() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_serve_echo"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    program
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(program.wait().unwrap().success());
    assert!(text.starts_with("listening on http://127.0.0.1:"), "{text}");
}
