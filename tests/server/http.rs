//! The protocol over a real socket: every row of the status matrix, and tensors.

use clarity_testbed::onnx::{DataType, OPEN, model, node, value};
use clarity_testbed::*;
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};

#[tokio::test]
async fn recorded_week_is_answered_as_by_onnx_runtime() {
    let (server, client) = serve(&Repository::temporary_with_model()).await;
    let RecordedWeek { activity, answers } = RecordedWeek::read();
    let response = client
        .post(INFER, &cole_kripke::request(&activity))
        .await
        .unwrap();
    assert_eq!(response.status, 200);
    let answer = response.json();
    let outputs = answer["outputs"].as_array().unwrap();
    let names: Vec<&Value> = outputs.iter().map(|output| &output["name"]).collect();
    assert_eq!(names, ["sleep_index", "asleep"]);
    for output in outputs {
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
        assert_eq!(found.len(), activity.len());
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
async fn answer_has_the_documented_form() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    let response = client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(response.headers["content-type"], "application/json");
    assert_eq!(response.body, SHORT_ANSWER);

    let mut request = short_request();
    request["id"] = json!("a \"quoted\" id");
    request["outputs"] = json!([{ "name": "asleep" }, { "name": "sleep_index", "parameters": { "binary_data": false } }]);
    let answer = client
        .post("/v2/models/cole_kripke/versions/1/infer", &request)
        .await
        .unwrap()
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
        "not in the requested order"
    );
}

#[tokio::test]
async fn metadata_describes_server_and_models() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    assert_eq!(client.get("/v2").await.unwrap().json()["name"], "clarity");
    let expected = json!({
        "name": "cole_kripke",
        "versions": ["1"],
        "platform": "rten_onnx",
        "inputs": [{ "name": "activity", "datatype": "FP32", "shape": [-1, -1] }],
        "outputs": [
            { "name": "sleep_index", "datatype": "FP32", "shape": [-1, -1] },
            { "name": "asleep", "datatype": "BOOL", "shape": [-1, -1] },
        ],
        "parameters": { "runtime": "rten", "runtime_version": "0.27.0" },
    });
    assert_eq!(
        client.get("/v2/models/cole_kripke").await.unwrap().json(),
        expected
    );
    assert_eq!(
        client
            .get("/v2/models/cole_kripke/versions/1")
            .await
            .unwrap()
            .json(),
        expected
    );
    for path in [
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/cole_kripke/ready",
        "/v2/models/cole_kripke/versions/1/ready",
    ] {
        assert_eq!(client.get(path).await.unwrap().status, 200, "{path}");
    }
}

#[tokio::test]
async fn every_datatype_is_copied_in_json() {
    let models = Repository::temporary();
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
            .await
            .unwrap();
        assert_eq!(response.status, 200, "{name}: {}", response.body);
        let output = &response.json()["outputs"][0];
        assert_eq!(output["datatype"], *datatype);
        assert_eq!(output["data"], data[0], "{name}");
        let metadata = client
            .get(&format!("/v2/models/{name}"))
            .await
            .unwrap()
            .json();
        assert_eq!(
            metadata["outputs"][0],
            json!({ "name": "y", "datatype": datatype, "shape": [1, -1] })
        );
    }
    let wide = json!({ "inputs": [{ "name": "x", "datatype": "INT64", "shape": [1, 1], "data": [2_147_483_648_i64] }] });
    let response = client.post("/v2/models/int64/infer", &wide).await.unwrap();
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
async fn metrics_come_in_the_preferred_format() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    let classic = client.get("/metrics").await.unwrap();
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
        .await
        .unwrap();
    assert!(
        open.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    assert!(open.body.ends_with("# EOF\n"));
}
