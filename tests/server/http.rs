//! The protocol over a real socket: every row of the status matrix, and the tensors.

use crate::support::onnx::{OPEN, model, node, value};
use crate::support::*;
use hyper::Method;
use hyper::body::Bytes;
use rten_onnx::onnx::DataType;
use serde_json::{Value, json};

#[tokio::test]
async fn a_week_of_minutes_is_answered_as_onnx_runtime_answers_it() {
    let (server, client) = serve(&Models::cole_kripke()).await;
    let Answers { activity, answers } = Answers::read();
    let response = client.post(INFER, &minutes(&activity)).await;
    assert_eq!(response.status, 200);
    let answer = response.json();
    for output in answer["outputs"].as_array().unwrap() {
        let expected = &answers[output["name"].as_str().unwrap()];
        assert_eq!(output["shape"], expected["shape"]);
        let number = |value: &Value| {
            value
                .as_f64()
                .unwrap_or_else(|| f64::from(u8::from(value.as_bool().unwrap())))
        };
        let found: Vec<f64> = output["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(number)
            .collect();
        for (found, expected) in found.iter().zip(expected["first"].as_array().unwrap()) {
            assert!(
                (found - number(expected)).abs() < 1e-4,
                "{found} and {expected}"
            );
        }
        let sum: f64 = found.iter().map(|value| value.abs()).sum();
        assert!((sum / expected["abs_sum"].as_f64().unwrap() - 1.0).abs() < 1e-4);
    }
    assert!(server.shutdown().await);
}

#[tokio::test]
async fn the_answer_has_the_documented_form() {
    let (_server, client) = serve(&Models::cole_kripke()).await;
    let response = client.post(INFER, &short_request()).await;
    assert_eq!(response.headers["content-type"], "application/json");
    assert_eq!(response.body, SHORT_ANSWER);

    let mut request = short_request();
    request["id"] = json!("a \"quoted\" id");
    request["outputs"] = json!([{ "name": "asleep" }, { "name": "sleep_index", "parameters": { "binary_data": false } }]);
    let answer = client
        .post("/v2/models/cole_kripke/versions/1/infer", &request)
        .await
        .json();
    assert_eq!(answer["id"], "a \"quoted\" id");
    let names: Vec<&Value> = answer["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|output| &output["name"])
        .collect();
    assert_eq!(
        names,
        ["asleep", "sleep_index"],
        "in the order that was asked for"
    );
}

#[tokio::test]
async fn the_server_and_its_models_describe_themselves() {
    let (_server, client) = serve(&Models::cole_kripke()).await;
    assert_eq!(client.get("/v2").await.json()["name"], "clarity");
    let expected = json!({
        "name": "cole_kripke",
        "versions": ["1"],
        "platform": "rten_onnx",
        "inputs": [{ "name": "activity", "datatype": "FP32", "shape": [-1, -1] }],
        "outputs": [
            { "name": "sleep_index", "datatype": "FP32", "shape": [-1, -1] },
            { "name": "asleep", "datatype": "BOOL", "shape": [-1, -1] },
        ],
    });
    assert_eq!(client.get("/v2/models/cole_kripke").await.json(), expected);
    assert_eq!(
        client.get("/v2/models/cole_kripke/versions/1").await.json(),
        expected
    );
    for path in [
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/cole_kripke/ready",
        "/v2/models/cole_kripke/versions/1/ready",
    ] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn every_datatype_goes_in_and_comes_out() {
    let models = Models::empty();
    let types = [
        (
            "fp32",
            DataType::FLOAT,
            "FP32",
            json!([[-1.5, 3.402_823_5e38]]),
        ),
        (
            "int32",
            DataType::INT32,
            "INT32",
            json!([[i32::MIN, i32::MAX]]),
        ),
        (
            "int64",
            DataType::INT64,
            "INT64",
            json!([[i32::MIN, i32::MAX]]),
        ),
        ("bool", DataType::BOOL, "BOOL", json!([[true, false]])),
        ("uint8", DataType::UINT8, "UINT8", json!([[0, 255]])),
        ("int8", DataType::INT8, "INT8", json!([[-128, 127]])),
    ];
    for (name, datatype, ..) in &types {
        let [x, y] = ["x", "y"].map(|tensor| value(tensor, *datatype, &[1, OPEN]));
        models.publish(
            name,
            &model(vec![x], vec![node("Identity", &["x"], "y")], vec![y]),
        );
    }
    let (server, client) = serve(&models).await;
    for (name, _, datatype, data) in &types {
        let request = json!({ "inputs": [{ "name": "x", "datatype": datatype, "shape": [1, 2], "data": data }] });
        let response = client
            .post(&format!("/v2/models/{name}/infer"), &request)
            .await;
        assert_eq!(response.status, 200, "{name}: {}", response.body);
        let output = &response.json()["outputs"][0];
        assert_eq!(output["datatype"], *datatype);
        assert_eq!(output["data"], data[0], "{name}");
        let metadata = client.get(&format!("/v2/models/{name}")).await.json();
        assert_eq!(
            metadata["outputs"][0],
            json!({ "name": "y", "datatype": datatype, "shape": [1, -1] })
        );
    }
    let wide = json!({ "inputs": [{ "name": "x", "datatype": "INT64", "shape": [1, 1], "data": [2_147_483_648_i64] }] });
    let response = client.post("/v2/models/int64/infer", &wide).await;
    response.assert_problem(400, "invalid_request");
    response.assert_says("input x: expected 64-bit integers in the range of 32 bits");
    assert_eq!(
        server
            .models()
            .breaker("int64")
            .unwrap()
            .consecutive_failures,
        0
    );
}

#[tokio::test]
async fn metrics_come_in_the_format_that_the_scraper_prefers() {
    let (_server, client) = serve(&Models::cole_kripke()).await;
    let classic = client.get("/metrics").await;
    assert!(
        classic.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    assert!(
        classic
            .body
            .contains("# TYPE prediction_success_total counter\n")
    );
    let accept = [(
        "accept",
        "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
    )];
    let open = client
        .send(Method::GET, "/metrics", &accept, Bytes::new())
        .await;
    assert!(
        open.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    assert!(open.body.ends_with("# EOF\n"));
}
