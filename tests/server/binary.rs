//! Tests of the binary tensor extension over a real socket.

use clarity_testbed::onnx::{DataType, OPEN, model, node, value};
use clarity_testbed::*;
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};

fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn input(name: &str, datatype: &str, shape: &[usize], bytes: usize) -> Value {
    json!({ "name": name, "datatype": datatype, "shape": shape, "parameters": { "binary_data_size": bytes } })
}

#[tokio::test]
async fn binary_request_is_answered_as_in_json() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    let RecordedWeek { activity, .. } = RecordedWeek::read();
    let expected = client
        .post(INFER, &cole_kripke::request(&activity))
        .await
        .unwrap()
        .json();
    let bytes = floats(&activity);
    let mut request = json!({
        "id": "7",
        "inputs": [input("activity", "FP32", &[1, activity.len()], bytes.len())],
        "parameters": { "binary_data_output": true },
    });
    let answer = client.post_binary(INFER, &request, &bytes).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    assert_eq!(answer.binary.len(), bytes.len() + activity.len());
    let (index, asleep) = answer.binary.split_at(bytes.len());
    let number = |(bytes, expected): (&[u8], &Value)| {
        let found = f32::from_le_bytes(bytes.try_into().unwrap());
        assert_eq!(found, expected.as_f64().unwrap() as f32);
    };
    let outputs = &expected["outputs"];
    let expected_index = outputs[0]["data"].as_array().unwrap();
    assert_eq!(expected_index.len(), activity.len());
    index.chunks(4).zip(expected_index).for_each(number);
    let asleep: Vec<bool> = asleep.iter().map(|byte| *byte == 1).collect();
    assert_eq!(json!(asleep), outputs[1]["data"]);
    let shape = [1, activity.len()];
    let output = |name: &str, datatype: &str, size: usize| json!({ "name": name, "datatype": datatype, "shape": shape, "parameters": { "binary_data_size": size } });
    assert_eq!(
        answer.json,
        json!({
            "model_name": "cole_kripke",
            "model_version": "1",
            "id": "7",
            "outputs": [output("sleep_index", "FP32", 4 * activity.len()), output("asleep", "BOOL", activity.len())],
        })
    );

    request["outputs"] = json!([{ "name": "asleep" }, { "name": "sleep_index", "parameters": { "binary_data": false } }]);
    let mixed = client.post_binary(INFER, &request, &bytes).await.unwrap();
    assert_eq!(mixed.binary.len(), activity.len());
    assert_eq!(mixed.json["outputs"][1]["data"], outputs[0]["data"]);
    request["outputs"] = json!([{ "name": "asleep", "parameters": { "binary_data": false } }]);
    let json = client.post_binary(INFER, &request, &bytes).await.unwrap();
    assert_eq!(json.headers["content-type"], "application/json");
    assert!(!json.headers.contains_key("inference-header-content-length"));
    assert_eq!(json.json["outputs"][0], outputs[1]);
}

#[tokio::test]
async fn every_datatype_is_copied_in_binary() {
    let models = Repository::temporary();
    let narrow = [i32::MIN, i32::MAX];
    let types: [(&str, DataType, Vec<u8>); 6] = [
        ("FP32", DataType::FLOAT, floats(&[-1.5, f32::MAX])),
        (
            "INT32",
            DataType::INT32,
            narrow
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        ),
        (
            "INT64",
            DataType::INT64,
            narrow
                .iter()
                .flat_map(|value| i64::from(*value).to_le_bytes())
                .collect(),
        ),
        ("BOOL", DataType::BOOL, vec![1, 0]),
        ("UINT8", DataType::UINT8, vec![0, 255]),
        ("INT8", DataType::INT8, vec![0x80, 0x7f]),
    ];
    let tensors = |prefix: &str| -> Vec<_> {
        let tensor = |(name, datatype, _): &(&str, DataType, _)| {
            value(&format!("{prefix}_{name}"), *datatype, &[1, OPEN])
        };
        types.iter().map(tensor).collect()
    };
    let copy = |(name, ..): &(&str, DataType, _)| {
        node("Identity", &[&format!("in_{name}")], &format!("out_{name}"))
    };
    let nodes = types.iter().map(copy).collect();
    models.publish("copies", &model(tensors("in"), nodes, tensors("out")));
    let (_server, client) = serve(&models).await;
    let inputs: Vec<Value> = types
        .iter()
        .rev()
        .map(|(name, _, bytes)| input(&format!("in_{name}"), name, &[1, 2], bytes.len()))
        .collect();
    let data: Vec<u8> = types
        .iter()
        .rev()
        .flat_map(|(_, _, bytes)| bytes.clone())
        .collect();
    let request = json!({ "inputs": inputs, "parameters": { "binary_data_output": true } });
    let path = "/v2/models/copies/infer";
    let answer = client.post_binary(path, &request, &data).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected: Vec<u8> = types
        .iter()
        .flat_map(|(_, _, bytes)| bytes.clone())
        .collect();
    assert_eq!(answer.binary, expected);
    let outputs = answer.json["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), types.len());
    for ((name, _, bytes), output) in types.iter().zip(outputs) {
        assert_eq!(output["name"], format!("out_{name}"));
        assert_eq!(output["datatype"], *name);
        assert_eq!(output["parameters"]["binary_data_size"], bytes.len());
    }
}

#[tokio::test]
async fn malformed_binary_data_is_400_and_no_failure() {
    let (server, client) = serve(&Repository::temporary_with_model()).await;
    let good = json!({ "inputs": [input("activity", "FP32", &[1, 2], 8)] });
    for (request, data, says) in [
        (
            &good,
            floats(&[1.0]),
            "input activity: expected 8 bytes of binary data, found 4",
        ),
        (
            &good,
            floats(&[1.0, f32::NAN]),
            "input activity: the value at 1 is NaN, which gave output sleep_index",
        ),
        (
            &json!({ "inputs": [input("activity", "FP32", &[1, 3], 8)] }),
            floats(&[1.0, 2.0]),
            "input activity: expected 3 elements of 4 bytes each, found 8 bytes",
        ),
        (
            &json!({ "inputs": [input("activity", "BYTES", &[1, 1], 8)] }),
            floats(&[1.0, 2.0]),
            "input activity: expected the datatype FP32, found \"BYTES\"",
        ),
    ] {
        let answer = client.post_binary(INFER, request, &data).await.unwrap();
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        let detail = answer.json["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail:?} does not say {says:?}");
    }
    for length in ["x", "-1", "+1", "", "1.0", "99999999999999999999999"] {
        let header = [("inference-header-content-length", length)];
        let body = Bytes::from(short_request().to_string());
        let response = client
            .send(Method::POST, INFER, &header, body)
            .await
            .unwrap();
        response.assert_problem(400, "invalid_request");
        response.assert_says("Inference-Header-Content-Length: expected one number of bytes");
    }
    assert_eq!(
        server
            .models()
            .breaker("cole_kripke")
            .unwrap()
            .consecutive_failures,
        0
    );
}
