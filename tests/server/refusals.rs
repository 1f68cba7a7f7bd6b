//! What is wrong with a request, or with a model's answer to it, and what the client is told.

use crate::support::faulty::{Faulty, Mood};
use crate::support::*;
use clarity::{Inline, Server};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};

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
    other.assert_says("version 1 is not loaded: version 2 answers for this model");
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
            "unknown input x: the model has activity",
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
            "all sizes at least 1, found [-1, 2]",
        ),
        (
            "a size of zero",
            input(json!({ "shape": [0, 2], "data": [] })),
            "all sizes at least 1",
        ),
        (
            "a shape beyond counting",
            input(json!({ "shape": [i64::MAX, i64::MAX] })),
            "too many elements",
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
            "input activity: invalid type: string \"1\", expected 2 elements (a number in the range of FP32)",
        ),
        (
            "a shape that is a number",
            input(json!({ "shape": 2 })),
            "input activity: shape: invalid type: integer `2`, expected a list",
        ),
        (
            "a size that is a text",
            input(json!({ "shape": [1, "2"] })),
            "input activity: shape: invalid type: string \"2\", expected i64",
        ),
        (
            "a datatype that is a number",
            input(json!({ "datatype": 32 })),
            "input activity: datatype: invalid type: integer `32`, expected a string",
        ),
        (
            "parameters that are a list",
            input(json!({ "parameters": [] })),
            "input activity: parameters: invalid type: sequence, expected an object",
        ),
        (
            "a name that is a number",
            input(json!({ "name": 7 })),
            "inputs[0]: name: invalid type: integer `7`, expected a string",
        ),
        (
            "a member that is missing",
            json!({ "inputs": [{ "name": "activity", "datatype": "FP32" }] }),
            "input activity: missing field `shape`",
        ),
        (
            "an input that is none",
            json!({ "inputs": [short_request()["inputs"][0], 7] }),
            "inputs[1]: invalid type: integer `7`, expected an object",
        ),
        (
            "a number beyond 32 bits",
            input(json!({ "data": [1e39, 2] })),
            "invalid value",
        ),
        (
            "binary data beside data",
            input(json!({ "parameters": { "binary_data_size": 8 } })),
            "input activity: expected data or the parameter binary_data_size, found both",
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
            "output x: unknown output: the model has sleep_index, asleep",
        ),
        (
            with(
                "outputs",
                json!([{ "name": "asleep", "parameters": { "binary_data": 1 } }]),
            ),
            "output asleep: binary_data: expected true or false, found 1",
        ),
        (
            with(
                "outputs",
                json!([{ "name": "asleep", "parameters": { "classification": 1 } }]),
            ),
            "output asleep: the parameter classification",
        ),
        (
            with("parameters", json!({ "binary_data_output": "yes" })),
            "the request: binary_data_output: expected true or false, found \"yes\"",
        ),
        (
            with("outputs", json!([{ "name": "asleep", "parameters": 1 }])),
            "output asleep: parameters: invalid type: integer `1`, expected an object",
        ),
        (with("parameters", json!(null)), "expected an object"),
        (with("outputs", json!(null)), "expected a sequence"),
        (with("id", json!(7)), "invalid type"),
    ];
    for (request, says) in cases {
        let response = client.post(INFER, &request).await;
        response.assert_problem(400, "invalid_request");
        response.assert_says(says);
    }
    let twice = json!({ "inputs": [short_request()["inputs"][0], short_request()["inputs"][0]] });
    client.post(INFER, &twice).await.assert_says("listed twice");
    for text in [
        "",
        "null",
        "[]",
        "[\"id\", {}, [], []]",
        "{",
        "{\"inputs\": [",
        "\u{feff}{}",
    ] {
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
async fn a_body_in_an_encoding_is_415_and_identity_is_none() {
    let (_server, client) = serve(&Models::cole_kripke()).await;
    for (encoding, status) in [("gzip", 415), ("identity", 200), ("Identity", 200)] {
        let body = Bytes::from(short_request().to_string());
        let headers = [("content-encoding", encoding)];
        let response = client.send(Method::POST, INFER, &headers, body).await;
        assert_eq!(response.status, status, "{encoding}");
        if status == 415 {
            response.assert_problem(415, "unsupported_encoding");
        }
    }
}

/// Whoever ends a connection in the midst of a body is not told that the body is wrong, and not counted so.
#[tokio::test]
async fn a_client_that_goes_away_while_it_sends_is_counted_as_such() {
    use tokio::io::AsyncWriteExt;

    let (server, _client) = serve(&Models::cole_kripke()).await;
    let count = |reason: &str| {
        let series =
            format!(r#"prediction_failure_total{{model="cole_kripke",reason="{reason}"}}"#);
        metric(&server, &series)
    };
    for (gone, reset) in [(1.0, false), (2.0, true)] {
        let mut stream = tokio::net::TcpStream::connect(server.local_addr())
            .await
            .unwrap();
        let head = format!("POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{");
        stream.write_all(head.as_bytes()).await.unwrap();
        if reset {
            // Nothing is waited for when it is closed: the other side gets a reset.
            stream.set_zero_linger().unwrap();
        }
        drop(stream);
        while count("cancelled") < gone {
            assert_eq!(count("invalid_request"), 0.0);
            tokio::task::yield_now().await;
        }
    }
    let chunks =
        format!("POST {INFER} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nx\r\n");
    let mut stream = tokio::net::TcpStream::connect(server.local_addr())
        .await
        .unwrap();
    stream.write_all(chunks.as_bytes()).await.unwrap();
    while count("invalid_request") == 0.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(count("cancelled"), 2.0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let mut config = config();
    config.body_limit = 1000;
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

/// An answer cannot be multiplied by asking for the same output again and again.
#[tokio::test]
async fn an_output_that_is_wanted_twice_is_400() {
    let (_server, client) = serve(&Models::cole_kripke()).await;
    let mut request = short_request();
    request["outputs"] = json!([{ "name": "asleep" }, { "name": "sleep_index" }]);
    assert_eq!(client.post(INFER, &request).await.status, 200);
    request["outputs"] =
        json!([{ "name": "asleep" }, { "name": "sleep_index" }, { "name": "asleep" }]);
    let response = client.post(INFER, &request).await;
    response.assert_problem(400, "invalid_request");
    response.assert_says("output asleep: listed twice");
}

/// What a client sends comes back to it, and to the log, in part only.
#[tokio::test]
async fn what_is_told_of_a_request_is_bounded() {
    let (_server, client) = serve(&Models::cole_kripke()).await;
    let mut request = short_request();
    request["inputs"][0]["name"] = json!("x\n".repeat(100_000));
    let response = client.post(INFER, &request).await;
    response.assert_problem(400, "invalid_request");
    assert!(response.body.len() < 5_000, "{} bytes", response.body.len());
}
