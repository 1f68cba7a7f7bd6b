//! The index of models, and requests to load and unload them.

use clarity::{Inline, Server};
use clarity_testbed::*;
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};

const TOKEN: &str = "0123456789abcdef";
const INDEX: &str = "/v2/repository/index";
const LOAD: &str = "/v2/repository/models/cole_kripke/load";
const UNLOAD: &str = "/v2/repository/models/cole_kripke/unload";

async fn serve_with_token(models: &Repository) -> (Server, Client) {
    let mut config = config();
    config.admin_token = Some(TOKEN.parse().unwrap());
    serve_with(models, config, Inline).await
}

async fn post(client: &Client, path: &str, token: &str, body: &str) -> Response {
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", &*authorization)];
    client
        .send(Method::POST, path, &headers, Bytes::from(body.to_owned()))
        .await
        .unwrap()
}

/// The number of versions that the metrics show as serving.
fn served_versions(server: &Server) -> usize {
    let text = server.metrics().render();
    let is_series = |line: &&str| line.starts_with("model_version_info{");
    text.lines().filter(is_series).count()
}

#[tokio::test]
async fn load_and_unload_without_a_token_are_403() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    for path in [LOAD, UNLOAD, "/v2/repository/models/nope/unload"] {
        for token in ["", TOKEN] {
            let response = post(&client, path, token, "").await;
            response.assert_problem(403, "admin_disabled");
        }
    }
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().status,
        200
    );
}

#[tokio::test]
async fn load_and_unload_with_a_wrong_token_are_401() {
    let (_server, client) = serve_with_token(&Repository::temporary_with_model()).await;
    for path in [LOAD, UNLOAD, "/v2/repository/models/nope/unload"] {
        for token in ["", "0123456789abcdeF", "0123456789abcdef0"] {
            let response = post(&client, path, token, "").await;
            response.assert_problem(401, "unauthorized");
            assert_eq!(response.headers["www-authenticate"], "Bearer");
        }
        let response = client.post_text(path, "").await.unwrap();
        response.assert_problem(401, "unauthorized");
    }
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().status,
        200
    );
}

#[tokio::test]
async fn unloaded_model_is_503_until_it_is_loaded() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let (server, client) = serve_with_token(&models).await;
    assert_eq!(served_versions(&server), 1);
    for body in ["", "{}", r#"{"parameters": {"unload_dependents": false}}"#] {
        assert_eq!(post(&client, UNLOAD, TOKEN, body).await.status, 200);
        let response = client.post(INFER, &short_request()).await.unwrap();
        response.assert_problem(503, "model_unloaded");
        assert_eq!(response.retry_after(), None);
    }
    for path in ["/v2/models/cole_kripke", "/v2/models/cole_kripke/ready"] {
        client
            .get(path)
            .await
            .unwrap()
            .assert_problem(503, "model_unloaded");
    }
    assert_eq!(client.get("/v2/health/ready").await.unwrap().status, 200);
    assert_eq!(served_versions(&server), 0);
    let unloaded = json!([{ "name": "cole_kripke", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded" }]);
    assert_eq!(client.post_text(INDEX, "").await.unwrap().json(), unloaded);

    models.publish("cole_kripke", MODEL_BYTES);
    clock.run_out(10.0).await;
    server.models().discover().await;
    let response = client.post(INFER, &short_request()).await.unwrap();
    response.assert_problem(503, "model_unloaded");

    assert_eq!(post(&client, LOAD, TOKEN, "").await.status, 200);
    let answer = client.post(INFER, &short_request()).await.unwrap().json();
    assert_eq!(answer["model_version"], "2");
    assert_eq!(post(&client, LOAD, TOKEN, "{}").await.status, 200, "again");
}

#[tokio::test]
async fn load_answers_with_its_outcome() {
    let models = Repository::temporary_with_model();
    let (_server, client) = serve_with_token(&models).await;
    let unknown = "/v2/repository/models/nope/load";
    let response = post(&client, unknown, TOKEN, "").await;
    response.assert_problem(404, "unknown_model");
    for path in ["..%2fcole_kripke", "%2e%2e", "%2fetc"] {
        let path = format!("/v2/repository/models/{path}/load");
        let response = post(&client, &path, TOKEN, "").await;
        response.assert_problem(404, "unknown_model");
    }
    models.publish("nope", MODEL_BYTES);
    assert_eq!(post(&client, unknown, TOKEN, "").await.status, 200);
    assert_eq!(
        client.get("/v2/models/nope/ready").await.unwrap().status,
        200
    );

    post(&client, UNLOAD, TOKEN, "").await;
    models.flip_bit("1/model.onnx", 1000);
    let response = post(&client, LOAD, TOKEN, "").await;
    response.assert_problem(503, "model_corrupt");
    assert_eq!(response.json()["model"], "cole_kripke");
}

#[tokio::test]
async fn load_refuses_parameters() {
    let (_server, client) = serve_with_token(&Repository::temporary_with_model()).await;
    for (body, says) in [
        (
            r#"{"parameters": {"config": "{}"}}"#,
            "unsupported parameter config",
        ),
        (
            r#"{"parameters": {"file:1/model.onnx": "AAAA"}}"#,
            "unsupported parameter file:1/model.onnx",
        ),
        (r#"{"parameters": null}"#, "expected an object"),
        ("[{}]", "expected an object"),
        ("{", "invalid request"),
    ] {
        let response = post(&client, LOAD, TOKEN, body).await;
        response.assert_problem(400, "invalid_request");
        response.assert_says(says);
    }
}

#[tokio::test]
async fn index_lists_every_version_with_its_state() {
    let models = Repository::temporary_with_model();
    models.publish("cole_kripke", &other_model());
    models.publish("cole_kripke", MODEL_BYTES);
    models.publish("other", MODEL_BYTES);
    models.flip_bit("3/model.onnx", 1000);
    let (_server, client) = serve(&models).await;
    let index = client.post_text(INDEX, "").await.unwrap();
    assert_eq!(index.status, 200, "{index:?}");
    let index = index.json();
    let states: Vec<[&str; 3]> = index
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| ["name", "version", "state"].map(|member| entry[member].as_str().unwrap()))
        .collect();
    assert_eq!(
        states,
        [
            ["cole_kripke", "1", "UNAVAILABLE"],
            ["cole_kripke", "2", "READY"],
            ["cole_kripke", "3", "UNAVAILABLE"],
            ["other", "1", "READY"],
        ]
    );
    assert!(
        index[2]["reason"].as_str().unwrap().contains("SHA-256"),
        "{index}"
    );
    let ready: Value = client
        .post(INDEX, &json!({ "ready": true }))
        .await
        .unwrap()
        .json();
    assert_eq!(ready.as_array().unwrap().len(), 2);
    assert_eq!(
        client
            .post(INDEX, &json!({ "ready": false }))
            .await
            .unwrap()
            .json(),
        index
    );
    for body in ["[true]", "null", r#"{"ready": 1}"#] {
        let response = client.post_text(INDEX, body).await.unwrap();
        response.assert_problem(400, "invalid_request");
    }
}
