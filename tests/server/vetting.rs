//! Verified models that must not be served.

use clarity::{Reason, VersionStatus};
use serde_json::json;

use clarity_testbed::onnx::{DataType, OPEN, model, node, value};
use clarity_testbed::*;

/// Each row has a verified model and a part of its refusal's message.
#[tokio::test]
async fn version_that_cannot_answer_is_not_swapped_in() {
    let _clock = ManualClock::start();
    let tensor = |name, shape: &[i64]| value(name, DataType::FLOAT, shape);
    let one = |operator, shape: &[i64]| {
        model(
            vec![tensor("x", shape)],
            vec![node(operator, &["x"], "y")],
            vec![tensor("y", shape)],
        )
    };
    let cases = [
        (
            "nan",
            model(
                vec![tensor("x", &[2])],
                vec![node("Log", &["x"], "z"), node("Log", &["z"], "y")],
                vec![tensor("y", &[2])],
            ),
            "if real inputs do not do this, publish the version with a probe",
        ),
        (
            "rank",
            model(
                vec![tensor("x", &[2])],
                vec![node("Identity", &["x"], "y")],
                vec![tensor("y", &[2, 1])],
            ),
            "found 1 dimensions: to override the declaration, publish with --output-rank y=1",
        ),
        (
            "operator",
            one("NoSuchOperator", &[2]),
            "there is no claim for the operator",
        ),
        (
            "no_output",
            model(vec![tensor("x", &[2])], vec![], vec![]),
            "the model has no outputs",
        ),
        (
            "double",
            model(
                vec![value("x", DataType::DOUBLE, &[2])],
                vec![node("Identity", &["x"], "y")],
                vec![value("y", DataType::DOUBLE, &[2])],
            ),
            "found DOUBLE",
        ),
        (
            "huge",
            one("Identity", &[1 << 40]),
            "expected at most 67108864 elements",
        ),
        (
            "uncountable",
            one("Identity", &[1 << 40, 1 << 40]),
            "expected at most 67108864 elements",
        ),
    ];
    let models = Repository::temporary_with_model();
    let (server, client) = serve(&models).await;
    for (name, bytes, says) in cases {
        let number = models.publish("cole_kripke", &bytes);
        let status = server.models().reload("cole_kripke").await.unwrap();
        assert_eq!(status.serving.unwrap().0, version(1), "{name}");
        match &status.versions[&version(number)] {
            VersionStatus::Refused {
                reason: Reason::ModelIncompatible,
                detail,
            } => assert!(detail.contains(says), "{name}: {detail}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let answer = client.post(INFER, &short_request()).await.unwrap().json();
    assert_eq!(answer["outputs"][0]["data"][0], json!(1.84));
}

#[tokio::test]
async fn warm_up_finds_a_size_that_the_model_accepts() {
    let _clock = ManualClock::start();
    // This model accepts 16 elements, and no other number.
    let constant = |name: &str, value: i64| {
        let tensor = rten_onnx::onnx::TensorProto {
            dims: vec![1],
            data_type: Some(DataType::INT64),
            int64_data: vec![value],
            name: Some(name.to_owned()),
            ..Default::default()
        };
        rten_onnx::onnx::NodeProto {
            op_type: Some("Constant".to_owned()),
            output: vec![name.to_owned()],
            attribute: vec![rten_onnx::onnx::AttributeProto {
                name: Some("value".to_owned()),
                t: Some(tensor),
                r#type: Some(rten_onnx::onnx::AttributeType::TENSOR),
                ..Default::default()
            }],
            ..Default::default()
        }
    };
    let reshape = vec![constant("shape", 16), node("Reshape", &["x", "shape"], "y")];
    let tensor = |name, shape: &[i64]| value(name, DataType::FLOAT, shape);
    let models = Repository::temporary();
    models.publish(
        "sixteen",
        &model(
            vec![tensor("x", &[1, OPEN])],
            reshape,
            vec![tensor("y", &[16])],
        ),
    );
    let (server, _client) = serve(&models).await;
    let status = server.models().status("sixteen").unwrap();
    assert!(status.serving.is_some(), "{status:?}");
}
