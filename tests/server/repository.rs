//! Which models there are, and loading and unloading them over HTTP.

use crate::support::*;
use clarity::{Inline, Server};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};

const TOKEN: &str = "0123456789abcdef";
const INDEX: &str = "/v2/repository/index";
const LOAD: &str = "/v2/repository/models/cole_kripke/load";
const UNLOAD: &str = "/v2/repository/models/cole_kripke/unload";

async fn serve_with_token(models: &Models) -> (Server, Client) {
    let mut config = config();
    config.admin_token = Some(TOKEN.parse().unwrap());
    serve_with(models, config, Inline).await
}

async fn post(client: &Client, path: &str, token: &str, body: &str) -> client::Response {
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", &*authorization)];
    client
        .send(Method::POST, path, &headers, Bytes::from(body.to_owned()))
        .await
}

#[tokio::test]
async fn without_a_token_nobody_loads_or_unloads() {
    let (_server, client) = serve(&Models::cole_kripke()).await;
    for path in [LOAD, UNLOAD, "/v2/repository/models/nope/unload"] {
        for token in ["", TOKEN] {
            let response = post(&client, path, token, "").await;
            response.assert_problem(403, "admin_disabled");
        }
    }
    assert_eq!(client.post(INFER, &short_request()).await.status, 200);
}

#[tokio::test]
async fn with_another_token_nobody_loads_or_unloads() {
    let (_server, client) = serve_with_token(&Models::cole_kripke()).await;
    for path in [LOAD, UNLOAD, "/v2/repository/models/nope/unload"] {
        for token in ["", "0123456789abcdeF", "0123456789abcdef0"] {
            let response = post(&client, path, token, "").await;
            response.assert_problem(401, "unauthorized");
            assert_eq!(response.headers["www-authenticate"], "Bearer");
        }
        let response = client.post_text(path, "").await;
        response.assert_problem(401, "unauthorized");
    }
    assert_eq!(client.post(INFER, &short_request()).await.status, 200);
}

#[tokio::test]
async fn an_unloaded_model_answers_no_more_until_it_is_loaded() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    let (server, client) = serve_with_token(&models).await;
    for body in ["", "{}", r#"{"parameters": {"unload_dependents": false}}"#] {
        assert_eq!(post(&client, UNLOAD, TOKEN, body).await.status, 200);
        let response = client.post(INFER, &short_request()).await;
        response.assert_problem(503, "model_unloaded");
        assert_eq!(response.retry_after(), None);
    }
    for path in ["/v2/models/cole_kripke", "/v2/models/cole_kripke/ready"] {
        client.get(path).await.assert_problem(503, "model_unloaded");
    }
    assert_eq!(client.get("/v2/health/ready").await.status, 200);
    let unloaded = json!([{ "name": "cole_kripke", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded" }]);
    assert_eq!(client.post_text(INDEX, "").await.json(), unloaded);

    models.publish("cole_kripke", COLE_KRIPKE);
    clock.run_out(10.0).await;
    server.models().discover().await;
    let response = client.post(INFER, &short_request()).await;
    response.assert_problem(503, "model_unloaded");

    assert_eq!(post(&client, LOAD, TOKEN, "").await.status, 200);
    let answer = client.post(INFER, &short_request()).await.json();
    assert_eq!(answer["model_version"], "2");
    assert_eq!(post(&client, LOAD, TOKEN, "{}").await.status, 200, "again");
}

#[tokio::test]
async fn a_load_tells_what_came_of_it() {
    let models = Models::cole_kripke();
    let (_server, client) = serve_with_token(&models).await;
    let unknown = "/v2/repository/models/nope/load";
    let response = post(&client, unknown, TOKEN, "").await;
    response.assert_problem(404, "unknown_model");
    for path in ["..%2fcole_kripke", "%2e%2e", "%2fetc"] {
        let path = format!("/v2/repository/models/{path}/load");
        let response = post(&client, &path, TOKEN, "").await;
        response.assert_problem(404, "unknown_model");
    }
    models.publish("nope", COLE_KRIPKE);
    assert_eq!(post(&client, unknown, TOKEN, "").await.status, 200);
    assert_eq!(client.get("/v2/models/nope/ready").await.status, 200);

    post(&client, UNLOAD, TOKEN, "").await;
    models.flip_bit("1/model.onnx", 1000);
    let response = post(&client, LOAD, TOKEN, "").await;
    response.assert_problem(503, "model_corrupt");
    assert_eq!(response.json()["model"], "cole_kripke");
}

#[tokio::test]
async fn a_load_takes_nothing_but_what_is_on_disk() {
    let (_server, client) = serve_with_token(&Models::cole_kripke()).await;
    for (body, says) in [
        (
            r#"{"parameters": {"config": "{}"}}"#,
            "the parameter config",
        ),
        (
            r#"{"parameters": {"file:1/model.onnx": "AAAA"}}"#,
            "the parameter file:1/model.onnx",
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
async fn the_index_has_every_version_and_those_that_are_ready() {
    let models = Models::cole_kripke();
    models.publish("cole_kripke", &other_model());
    models.publish("cole_kripke", COLE_KRIPKE);
    models.publish("other", COLE_KRIPKE);
    models.flip_bit("3/model.onnx", 1000);
    let (_server, client) = serve(&models).await;
    let index = client.post_text(INDEX, "").await;
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
    let ready: Value = client.post(INDEX, &json!({ "ready": true })).await.json();
    assert_eq!(ready.as_array().unwrap().len(), 2);
    assert_eq!(
        client.post(INDEX, &json!({ "ready": false })).await.json(),
        index
    );
    for body in ["[true]", "null", r#"{"ready": 1}"#] {
        let response = client.post_text(INDEX, body).await;
        response.assert_problem(400, "invalid_request");
    }
}
