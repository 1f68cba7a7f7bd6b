//! The programs of this package, by their binaries.
//!
//! Because of this file, `cargo test --workspace` builds the programs, with its own features: the
//! scripts in `.ci` and `tests/operators` run these binaries.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

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

#[test]
fn run_models_refuses_a_broken_model_and_ends_with_its_input() {
    let mut program = Command::new(RUN_MODELS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let header = json!({
        "id": 7, "runtime": "rten", "claims": true, "rewrite": true, "dropped": null,
        "model": 3, "inputs": [],
    });
    let header = header.to_string().into_bytes();
    let length = u32::try_from(header.len()).unwrap().to_le_bytes();
    let request = [&length, &header[..], b"abc"].concat();
    program.stdin.take().unwrap().write_all(&request).unwrap();
    let mut answer = Vec::new();
    let mut output = program.stdout.take().unwrap();
    output.read_to_end(&mut answer).unwrap();
    assert!(program.wait().unwrap().success());
    let (length, header) = answer.split_first_chunk::<4>().unwrap();
    assert_eq!(header.len(), u32::from_le_bytes(*length) as usize);
    let header: Value = serde_json::from_slice(header).unwrap();
    assert_eq!(header["id"], 7);
    assert_eq!(header["result"], "refused", "{header}");
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
