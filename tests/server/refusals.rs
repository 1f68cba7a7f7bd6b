//! Refused requests and failed predictions, with the status and the reason that the client gets.

use clarity::{Inline, Server};
use clarity_testbed::*;
use hyper::Method;
use hyper::body::Bytes;
use serde_json::json;

#[tokio::test]
async fn unknown_path_model_or_version_is_404() {
    let models = Repository::temporary_with_model();
    models.publish("cole_kripke", MODEL_BYTES);
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
        client.get(path).await.unwrap().assert_problem(404, reason);
    }
    for (path, reason) in [
        ("/v2/models/nope/infer", "unknown_model"),
        ("/v2/models/cole_kripke/versions/3/infer", "unknown_version"),
        (
            "/v2/models/cole_kripke/versions/1/infer",
            "version_not_loaded",
        ),
    ] {
        let response = client.post(path, &short_request()).await.unwrap();
        response.assert_problem(404, reason);
        assert_eq!(response.retry_after(), None);
    }
    let other = client
        .post("/v2/models/cole_kripke/versions/1/infer", &short_request())
        .await
        .unwrap();
    other.assert_says("version 1 is not loaded: version 2 answers for this model");
}

#[tokio::test]
async fn wrong_method_is_405_and_names_the_right_one() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    let response = client.get(INFER).await.unwrap();
    response.assert_problem(405, "method_not_allowed");
    assert_eq!(response.headers["allow"], "POST");
    client
        .post("/v2", &json!({}))
        .await
        .unwrap()
        .assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn unknown_encoding_is_415_and_identity_is_accepted() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    for (encoding, status) in [
        ("br", 415),
        ("gzip, gzip", 415),
        ("identity", 200),
        ("Identity", 200),
    ] {
        let body = Bytes::from(short_request().to_string());
        let headers = [("content-encoding", encoding)];
        let response = client
            .send(Method::POST, INFER, &headers, body)
            .await
            .unwrap();
        assert_eq!(response.status, status, "{encoding}");
        if status == 415 {
            response.assert_problem(415, "unsupported_encoding");
            response.assert_says("expected one of gzip, deflate and identity, found");
            assert_eq!(response.headers["accept-encoding"], "gzip, deflate");
        }
    }
}

/// A request whose connection ends inside its body counts as cancelled, not as invalid.
#[tokio::test]
async fn client_that_leaves_while_sending_is_counted_cancelled() {
    let (server, _client) = serve(&Repository::temporary_with_model()).await;
    let count = |reason: &str| {
        let series =
            format!(r#"prediction_failure_total{{model="cole_kripke",reason="{reason}"}}"#);
        metric(&server, &series)
    };
    for (gone, reset) in [(1.0, false), (2.0, true)] {
        let mut connection = Connection::open(server.local_addr()).await.unwrap();
        let head = format!("POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{");
        connection.send(head).await.unwrap();
        if reset {
            // With this option, closing the connection sends a reset at once.
            connection.stream().set_zero_linger().unwrap();
        }
        drop(connection);
        until("a cancelled request", || {
            assert_eq!(count("invalid_request"), 0.0);
            count("cancelled") >= gone
        })
        .await;
        assert_eq!(count("cancelled"), gone);
    }
    let chunks =
        format!("POST {INFER} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nx\r\n");
    let mut connection = Connection::open(server.local_addr()).await.unwrap();
    connection.send(chunks).await.unwrap();
    until("an invalid request", || count("invalid_request") > 0.0).await;
    assert_eq!(count("cancelled"), 2.0);
}

#[tokio::test]
async fn body_over_the_limit_is_413() {
    let mut config = config();
    config.body_limit = 1000;
    let (server, client) = serve_with(&Repository::temporary_with_model(), config, Inline).await;
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().status,
        200
    );
    client
        .post(INFER, &cole_kripke::request(&[0.0; 1000]))
        .await
        .unwrap()
        .assert_problem(413, "payload_too_large");
    let exactly = format!("{:1000}", short_request().to_string());
    assert_eq!(client.post_text(INFER, exactly).await.unwrap().status, 200);
    assert_eq!(
        metric(
            &server,
            r#"prediction_failure_total{model="cole_kripke",reason="payload_too_large"}"#
        ),
        1.0
    );
}

#[tokio::test]
async fn failing_model_is_503_inference_failed() {
    let models = Repository::temporary_with_model();
    let faulty = FaultSwitch::new();
    let (server, client) = start(
        Server::builder(models.root())
            .config(config())
            .executor(Inline)
            .runtime(faulty.runtime()),
    )
    .await;
    for (mood, says) in [
        (Behaviour::Error, "an injected error"),
        (Behaviour::Panic, "the model panicked: an injected panic"),
        (
            Behaviour::NotFinite,
            "output sleep_index: the value at 4 is NaN, expected a finite one",
        ),
    ] {
        faulty.set(mood);
        let response = client.post(INFER, &short_request()).await.unwrap();
        response.assert_problem(503, "inference_failed");
        response.assert_says(says);
        faulty.set(Behaviour::Normal);
        assert_eq!(
            client.post(INFER, &short_request()).await.unwrap().body,
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

/// A client cannot multiply the size of an answer by requesting the same output repeatedly.
#[tokio::test]
async fn output_requested_twice_is_400() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    let mut request = short_request();
    request["outputs"] = json!([{ "name": "asleep" }, { "name": "sleep_index" }]);
    assert_eq!(client.post(INFER, &request).await.unwrap().status, 200);
    request["outputs"] =
        json!([{ "name": "asleep" }, { "name": "sleep_index" }, { "name": "asleep" }]);
    let response = client.post(INFER, &request).await.unwrap();
    response.assert_problem(400, "invalid_request");
    response.assert_says("output asleep: listed twice");
}

/// A problem and a log line quote only a part of the client's text.
#[tokio::test]
async fn problem_quotes_a_bounded_part_of_the_request() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    let mut request = short_request();
    request["inputs"][0]["name"] = json!("x\n".repeat(100_000));
    let response = client.post(INFER, &request).await.unwrap();
    response.assert_problem(400, "invalid_request");
    assert!(response.body.len() < 5_000, "{} bytes", response.body.len());
}
