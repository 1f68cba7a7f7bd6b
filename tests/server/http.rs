//! The protocol over a real socket: every row of the status matrix, and the tensors.

use std::time::Duration;

use crate::support::faulty::{Faulty, Mood};
use crate::support::onnx::{OPEN, model, node, value};
use crate::support::*;
use clarity::{BlockingPool, Config, Inline, Server};
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
async fn what_is_not_there_is_404() {
    let models = Models::cole_kripke();
    models.publish("cole_kripke", COLE_KRIPKE);
    let (_server, client) = serve(&models).await;
    for (path, reason) in [
        ("/", "not_found"),
        ("/v2/", "not_found"),
        ("/v2/models/cole_kripke/", "not_found"),
        ("/v2/models/nope", "unknown_model"),
        ("/v2/models/nope/ready", "unknown_model"),
        ("/v2/models/..%2fcole_kripke", "unknown_model"),
        ("/v2/models/%2e%2e/ready", "unknown_model"),
        ("/v2/models/%ff", "not_found"),
        ("/v2/models/cole_kripke/versions/3", "unknown_version"),
        ("/v2/models/cole_kripke/versions/3/ready", "unknown_version"),
        ("/v2/models/cole_kripke/versions/01", "unknown_version"),
        ("/v2/models/cole_kripke/versions/..", "unknown_version"),
        ("/v2/models/cole_kripke/versions/1", "version_not_loaded"),
    ] {
        client.get(path).await.assert_problem(404, reason);
    }
    for (path, reason) in [
        ("/v2/models/nope/infer", "unknown_model"),
        ("/v2/models/cole_kripke/versions/3/infer", "unknown_version"),
        (
            "/v2/models/cole_kripke/versions/1/infer",
            "version_not_loaded",
        ),
    ] {
        let response = client.post(path, &short_request()).await;
        response.assert_problem(404, reason);
        assert_eq!(response.retry_after(), None);
    }
    let other = client
        .post("/v2/models/cole_kripke/versions/1/infer", &short_request())
        .await;
    other.assert_says("one version of a model is loaded at a time, and that is 2 now");
}

#[tokio::test]
async fn another_method_is_405_and_told_which() {
    let (_server, client) = serve(&Models::cole_kripke()).await;
    let response = client.get(INFER).await;
    response.assert_problem(405, "method_not_allowed");
    assert_eq!(response.headers["allow"], "POST");
    client
        .post("/v2", &json!({}))
        .await
        .assert_problem(405, "method_not_allowed");
}

/// Each row: what is wrong with the request, and what is said about it.
#[tokio::test]
async fn a_malformed_request_is_400_and_says_what_was_expected() {
    let (server, client) = serve(&Models::cole_kripke()).await;
    let input = |more: Value| {
        let mut input =
            json!({ "name": "activity", "datatype": "FP32", "shape": [1, 2], "data": [1, 2] });
        input
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "inputs": [input] })
    };
    let cases = [
        ("no inputs", json!({}), "missing field `inputs`"),
        (
            "an empty list",
            json!({ "inputs": [] }),
            "input activity: expected FP32, found nothing",
        ),
        (
            "another name",
            input(json!({ "name": "x" })),
            "input x: the model has no such input, only activity",
        ),
        (
            "another datatype",
            input(json!({ "datatype": "INT32" })),
            "input activity: expected the datatype FP32, found \"INT32\"",
        ),
        (
            "another rank",
            input(json!({ "shape": [2] })),
            "input activity: expected the shape [-1, -1], found [2]",
        ),
        (
            "a negative size",
            input(json!({ "shape": [-1, 2] })),
            "every size 1 or more, found [-1, 2]",
        ),
        (
            "a size of zero",
            input(json!({ "shape": [0, 2], "data": [] })),
            "every size 1 or more",
        ),
        (
            "a shape beyond counting",
            input(json!({ "shape": [i64::MAX, i64::MAX] })),
            "more elements than can be counted",
        ),
        (
            "too little data",
            input(json!({ "data": [1] })),
            "invalid length 1, expected 2",
        ),
        (
            "too much data",
            input(json!({ "data": [1, 2, 3] })),
            "expected 2 elements, found more",
        ),
        (
            "text as data",
            input(json!({ "data": ["1", "2"] })),
            "invalid type: string",
        ),
        (
            "a number beyond 32 bits",
            input(json!({ "data": [1e39, 2] })),
            "invalid value",
        ),
        (
            "binary data in",
            input(json!({ "parameters": { "binary_data_size": 8 } })),
            "JSON tensors only",
        ),
        (
            "shared memory",
            input(json!({ "parameters": { "shared_memory_region": "r" } })),
            "shared_memory_region",
        ),
    ];
    for (what, request, says) in cases {
        let response = client.post(INFER, &request).await;
        response.assert_problem(400, "invalid_request");
        response.assert_says(says);
        assert_eq!(response.json()["model"], "cole_kripke", "{what}");
    }
    let with = |name: &str, value: Value| {
        let mut request = short_request();
        request[name] = value;
        request
    };
    let cases = [
        (
            with("outputs", json!([{ "name": "x" }])),
            "output x: the model has no such output, only sleep_index, asleep",
        ),
        (
            with(
                "outputs",
                json!([{ "name": "asleep", "parameters": { "binary_data": true } }]),
            ),
            "output asleep: the parameter binary_data",
        ),
        (
            with(
                "outputs",
                json!([{ "name": "asleep", "parameters": { "classification": 1 } }]),
            ),
            "classification",
        ),
        (
            with("parameters", json!({ "binary_data_output": true })),
            "binary_data_output",
        ),
        (with("id", json!(7)), "invalid type"),
    ];
    for (request, says) in cases {
        let response = client.post(INFER, &request).await;
        response.assert_problem(400, "invalid_request");
        response.assert_says(says);
    }
    let twice = json!({ "inputs": [short_request()["inputs"][0], short_request()["inputs"][0]] });
    client
        .post(INFER, &twice)
        .await
        .assert_says("it is there twice");
    for text in ["", "null", "[]", "{", "{\"inputs\": [", "\u{feff}{}"] {
        client
            .post_text(INFER, text)
            .await
            .assert_problem(400, "invalid_request");
    }
    client
        .post_text(INFER, vec![0xff; 10])
        .await
        .assert_problem(400, "invalid_request");
    assert_eq!(
        server
            .models()
            .breaker("cole_kripke")
            .unwrap()
            .consecutive_failures,
        0,
        "not the model's fault"
    );
}

#[tokio::test]
async fn a_request_for_binary_tensors_is_told_that_json_is_spoken() {
    let (_server, client) = serve(&Models::cole_kripke()).await;
    let body = Bytes::from(short_request().to_string());
    let header = [("inference-header-content-length", "10")];
    let response = client
        .send(Method::POST, INFER, &header, body.clone())
        .await;
    response.assert_problem(400, "invalid_request");
    response.assert_says("send JSON tensors");
    let response = client
        .send(Method::POST, INFER, &[("content-encoding", "gzip")], body)
        .await;
    response.assert_problem(415, "unsupported_encoding");
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let config = Config {
        body_limit: 1000,
        ..config()
    };
    let (server, client) = serve_with(&Models::cole_kripke(), config, Inline).await;
    assert_eq!(client.post(INFER, &short_request()).await.status, 200);
    client
        .post(INFER, &minutes(&[0.0; 1000]))
        .await
        .assert_problem(413, "payload_too_large");
    let exactly = format!("{:1000}", short_request());
    assert_eq!(client.post_text(INFER, exactly).await.status, 200);
    assert_eq!(
        metric(
            &server,
            r#"prediction_failure_total{model="cole_kripke",reason="payload_too_large"}"#
        ),
        1.0
    );
}

#[tokio::test]
async fn a_model_that_fails_on_a_good_request_is_503_inference_failed() {
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    let (server, client) = start(
        Server::builder(models.root())
            .config(config())
            .executor(Inline)
            .runtime(faulty.runtime()),
    )
    .await;
    for (mood, says) in [
        (Mood::Error, "an injected error"),
        (Mood::Panic, "the model panicked: an injected panic"),
        (
            Mood::NotFinite,
            "output sleep_index: the value at 4 is NaN, expected a finite one",
        ),
    ] {
        faulty.set(mood);
        let response = client.post(INFER, &short_request()).await;
        response.assert_problem(503, "inference_failed");
        response.assert_says(says);
        faulty.set(Mood::Well);
        assert_eq!(
            client.post(INFER, &short_request()).await.body,
            SHORT_ANSWER,
            "after {mood:?}"
        );
    }
    assert_eq!(
        metric(
            &server,
            r#"prediction_failure_total{model="cole_kripke",reason="inference_failed"}"#
        ),
        3.0
    );
    assert_eq!(
        metric(&server, r#"prediction_success_total{model="cole_kripke"}"#),
        3.0
    );
}

#[tokio::test]
async fn a_model_that_does_not_answer_in_time_is_504_and_keeps_its_place_in_the_pool() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    let builder = Server::builder(models.root())
        .config(config())
        .runtime(faulty.runtime());
    let (server, client) = start(builder.executor(BlockingPool::new(1))).await;
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.post(INFER, &short_request()).await }
    });
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    let shed = client.post(INFER, &short_request()).await;
    shed.assert_problem(503, "overloaded");
    assert_eq!(shed.retry_after(), Some(1));
    clock.run_out(30.0).await;
    let late = slow.await.unwrap();
    late.assert_problem(504, "deadline_exceeded");
    assert_eq!(
        server
            .models()
            .breaker("cole_kripke")
            .unwrap()
            .consecutive_failures,
        1,
        "late is a failure, shed is not"
    );
    client
        .post(INFER, &short_request())
        .await
        .assert_problem(503, "overloaded");
    assert_eq!(metric(&server, "requests_shed_total"), 2.0);
    faulty.set(Mood::Well);
    faulty.release();
    while client.post(INFER, &short_request()).await.status != 200 {
        tokio::task::yield_now().await;
    }
}

/// A body that stops half-way must not be waited for without end, and is not the model's fault.
#[tokio::test]
async fn a_body_that_does_not_arrive_is_408() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let clock = ManualClock::start();
    let (server, _client) = serve(&Models::cole_kripke()).await;
    let mut stream = tokio::net::TcpStream::connect(server.local_addr())
        .await
        .unwrap();
    stream
        .write_all(
            format!("POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{").as_bytes(),
        )
        .await
        .unwrap();
    let series = r#"prediction_failure_total{model="cole_kripke",reason="request_timeout"}"#;
    let mut answer = vec![0; 12];
    while metric(&server, series) == 0.0 {
        // The server may not have read the head yet: then there is no timer yet either.
        clock.run_out(30.0).await;
    }
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 408");
    assert_eq!(
        server
            .models()
            .breaker("cole_kripke")
            .unwrap()
            .consecutive_failures,
        0
    );
}

#[tokio::test]
async fn a_client_that_goes_away_is_counted_and_is_no_failure() {
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    let (server, client) = start(
        Server::builder(models.root())
            .config(config())
            .runtime(faulty.runtime()),
    )
    .await;
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let waiting = tokio::spawn(async move { client.post(INFER, &short_request()).await });
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    while metric(
        &server,
        r#"prediction_failure_total{model="cole_kripke",reason="cancelled"}"#,
    ) == 0.0
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        server
            .models()
            .breaker("cole_kripke")
            .unwrap()
            .consecutive_failures,
        0
    );
    faulty.release();
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
    response.assert_says("input x: expected 64-bit integers in the range of 32-bit ones");
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
async fn a_shutdown_answers_what_is_under_way_and_refuses_what_comes_later() {
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    let (server, client) = start(
        Server::builder(models.root())
            .config(config())
            .runtime(faulty.runtime()),
    )
    .await;
    let address = server.local_addr();
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let under_way = tokio::spawn(async move { client.post(INFER, &short_request()).await });
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    let shutdown = tokio::spawn(server.shutdown());
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    faulty.release();
    assert_eq!(under_way.await.unwrap().body, SHORT_ANSWER);
    assert!(shutdown.await.unwrap(), "nothing was cut");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_longer_than_it_may() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    let config = Config {
        deadline: Duration::from_secs(1000),
        ..config()
    };
    let (server, client) = start(
        Server::builder(models.root())
            .config(config)
            .runtime(faulty.runtime()),
    )
    .await;
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let under_way = tokio::spawn(async move { client.post(INFER, &short_request()).await });
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    let shutdown = tokio::spawn(server.shutdown());
    tokio::task::yield_now().await;
    clock.run_out(45.0).await;
    assert!(!shutdown.await.unwrap(), "something was cut");
    assert!(under_way.await.is_err(), "the connection is gone");
    faulty.release();
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

/// The port answers while the first load is still under way.
#[tokio::test]
async fn a_model_that_is_still_loading_says_so_and_the_server_is_alive() {
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    faulty.set(Mood::Hang);
    let builder = Server::builder(models.root())
        .config(config())
        .runtime(faulty.runtime());
    let server = builder.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let client = Client::new(server.local_addr());
    assert_eq!(client.get("/v2/health/live").await.status, 200);
    for response in [
        client.get("/v2/health/ready").await,
        client.get("/v2/models/cole_kripke/ready").await,
        client.get("/v2/models/cole_kripke").await,
        client.post(INFER, &short_request()).await,
        client
            .post("/v2/models/cole_kripke/versions/1/infer", &short_request())
            .await,
    ] {
        response.assert_problem(503, "model_loading");
        assert_eq!(response.json()["model"], "cole_kripke");
        assert_eq!(response.retry_after(), Some(1));
    }
    faulty.set(Mood::Well);
    faulty.release();
    server.models().settled().await;
    assert_eq!(
        client.post(INFER, &short_request()).await.body,
        SHORT_ANSWER
    );
}
