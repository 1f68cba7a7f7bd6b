//! Models that declare a wrong number of dimensions of an output.

use std::fs;

use serde_json::{Value, json};

use clarity_testbed::onnx::{DataType, model, node, value};
use clarity_testbed::*;

use crate::CLARITY;

/// A model whose output has one dimension, and is declared with two.
fn wrong() -> Vec<u8> {
    let tensor = |name, shape: &[i64]| value(name, DataType::FLOAT, shape);
    model(
        vec![tensor("x", &[2])],
        vec![node("Identity", &["x"], "y")],
        vec![tensor("y", &[2, 1])],
    )
}

fn request() -> Value {
    json!({ "inputs": [{ "name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2] }] })
}

#[tokio::test]
async fn wrong_rank_is_told_and_can_be_overridden() {
    let _clock = ManualClock::start();
    let models = Repository::temporary();
    let file = models.root().join("wrong.onnx");
    fs::write(&file, wrong()).unwrap();
    let add = |flags: &[&str]| {
        let mut command = command(CLARITY);
        command.args(["add", "wrong", "--models"]);
        command.arg(models.root()).arg(&file).args(flags);
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), stderr)
    };
    let (code, stderr) = add(&[]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("output y: expected 2 dimensions, found 1 dimensions"),
        "{stderr}"
    );
    assert!(stderr.contains("--output-rank y=1"), "{stderr}");
    let (code, stderr) = add(&["--output-rank", "y=3"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("expected 3 dimensions"), "{stderr}");
    let (code, stderr) = add(&["--output-rank", "z=1"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("z: expected an output of the model"),
        "{stderr}"
    );
    let (code, stderr) = add(&["--output-rank", "y=1", "--output-rank", "y=any"]);
    assert_eq!((code, stderr.contains("given twice")), (Some(1), true));
    assert_eq!(add(&["--output-rank", "y"]).0, Some(2));
    assert_eq!(add(&["--output-rank", "y=256"]).0, Some(2));

    for (rank, shape) in [("y=1", json!([-1])), ("y=any", json!([-1]))] {
        let (code, stderr) = add(&["--output-rank", rank]);
        assert_eq!(code, Some(0), "{stderr}");
        let (_server, client) = serve(&models).await;
        let metadata = client.get("/v2/models/wrong").await.unwrap().json();
        assert_eq!(metadata["outputs"][0]["shape"], shape);
        let known = if rank == "y=1" { json!(1) } else { Value::Null };
        assert_eq!(
            metadata["parameters"]["output_ranks"],
            json!({ "y": known })
        );
        let answer = client.post("/v2/models/wrong/infer", &request()).await;
        assert_eq!(
            answer.unwrap().json()["outputs"][0]["data"],
            json!([1.0, 2.0])
        );
    }
    let mut info = command(CLARITY);
    info.args(["info", "wrong", "--models"]).arg(models.root());
    let info = String::from_utf8(info.output().unwrap().stdout).unwrap();
    assert!(
        info.contains("output y: 1 dimensions, against the model's declaration"),
        "{info}"
    );
}
