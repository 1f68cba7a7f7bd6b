//! Real models that work, and well-formed requests that they cannot process.

use clarity::BreakerState;
use clarity_testbed::onnx::{DataType, OPEN, TensorProto, model, model_with_weights, node, value};
use clarity_testbed::*;
use rten_onnx::onnx::{AttributeProto, AttributeType, NodeProto};
use serde_json::{Value, json};

/// A model that looks up a row for each token. There are rows for the tokens 0 to 3.
fn token_model() -> Vec<u8> {
    let table = TensorProto {
        name: Some("table".to_owned()),
        dims: vec![4, 2],
        data_type: Some(DataType::FLOAT),
        float_data: (0..8_u8).map(f32::from).collect(),
        ..TensorProto::default()
    };
    model_with_weights(
        vec![value("tokens", DataType::INT64, &[1, OPEN])],
        vec![node("Gather", &["table", "tokens"], "rows")],
        vec![value("rows", DataType::FLOAT, &[1, OPEN, 2])],
        vec![table],
    )
}

/// A model of images of any size by its declaration. Its graph takes 16 pixels only.
fn image_model() -> Vec<u8> {
    let sixteen = TensorProto {
        dims: vec![1],
        data_type: Some(DataType::INT64),
        int64_data: vec![16],
        name: Some("sixteen".to_owned()),
        ..TensorProto::default()
    };
    let constant = NodeProto {
        op_type: Some("Constant".to_owned()),
        output: vec!["sixteen".to_owned()],
        attribute: vec![AttributeProto {
            name: Some("value".to_owned()),
            t: Some(sixteen),
            r#type: Some(AttributeType::TENSOR),
            ..AttributeProto::default()
        }],
        ..NodeProto::default()
    };
    model(
        vec![value("image", DataType::FLOAT, &[1, OPEN])],
        vec![constant, node("Reshape", &["image", "sixteen"], "pixels")],
        vec![value("pixels", DataType::FLOAT, &[OPEN])],
    )
}

fn tokens(tokens: &[i64]) -> Value {
    json!({ "inputs": [{
        "name": "tokens", "datatype": "INT64", "shape": [1, tokens.len()], "data": tokens,
    }]})
}

fn image(pixels: usize) -> Value {
    json!({ "inputs": [{
        "name": "image", "datatype": "FP32", "shape": [1, pixels], "data": vec![0.5; pixels],
    }]})
}

#[tokio::test]
async fn five_bad_requests_to_a_real_model_leave_its_breaker_closed() {
    let _clock = ManualClock::start();
    for (model, bytes, good, poisonous) in [
        (
            "tokens",
            token_model(),
            tokens(&[0, 3, 1]),
            tokens(&[0, 99]),
        ),
        ("tokens", token_model(), tokens(&[2]), tokens(&[-99])),
        ("image", image_model(), image(16), image(12)),
    ] {
        let models = Repository::temporary();
        models.publish(model, &bytes);
        let (server, client) = serve(&models).await;
        let infer = format!("/v2/models/{model}/infer");
        assert_eq!(client.post(&infer, &good).await.unwrap().status, 200);
        let mut malformed = good.clone();
        malformed["inputs"][0]["name"] = json!("other");
        for _ in 0..5 {
            let refused = client.post(&infer, &malformed).await.unwrap();
            refused.assert_problem(400, "invalid_request");
        }
        for failures in 1..=10 {
            let refused = client.post(&infer, &poisonous).await.unwrap();
            match failures {
                1..5 => refused.assert_problem(503, "inference_failed"),
                _ => refused.assert_problem(422, "input_rejected"),
            }
        }
        let breaker = server.models().breaker(model).unwrap();
        assert_eq!(breaker.state, BreakerState::Closed, "{model}");
        let answer = client.post(&infer, &good).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}
