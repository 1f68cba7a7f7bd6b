//! The statistics of loaded versions.

use std::fs;

use clarity::{Inline, Server};
use clarity_testbed::*;
use serde_json::{Value, json};

const ALL: &str = "/v2/models/stats";
const OF_MODEL: &str = "/v2/models/cole_kripke/stats";

/// The statistics at `path`, one document for each version.
async fn statistics(client: &Client, path: &str) -> Vec<Value> {
    let response = client.get(path).await.unwrap();
    assert_eq!(response.status, 200, "{}", response.body);
    response.json()["model_stats"].as_array().unwrap().clone()
}

/// The name, the version and the number of answered requests of each version at `path`.
async fn answered(client: &Client, path: &str) -> Vec<(String, String, u64)> {
    let text = |version: &Value, member: &str| version[member].as_str().unwrap().to_owned();
    let versions = statistics(client, path).await.into_iter().map(|version| {
        let count = version["inference_count"].as_u64().unwrap();
        (text(&version, "name"), text(&version, "version"), count)
    });
    versions.collect()
}

#[tokio::test]
async fn fresh_version_has_counts_of_zero() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    let none = json!({ "count": 0, "ns": 0 });
    let expected = json!([{
        "name": "cole_kripke",
        "version": "1",
        "last_inference": 0,
        "inference_count": 0,
        "execution_count": 0,
        "inference_stats": {
            "success": none, "fail": none, "queue": none,
            "compute_input": none, "compute_infer": none, "compute_output": none,
        },
        "batch_stats": [],
    }]);
    for path in [ALL, OF_MODEL, "/v2/models/cole_kripke/versions/1/stats"] {
        assert_eq!(json!(statistics(&client, path).await), expected, "{path}");
    }
}

#[tokio::test]
async fn requests_are_counted_and_timed_by_their_outcome() {
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let builder = Server::builder(models.root()).config(config());
    let (_server, client) = start(builder.runtime(faulty.runtime())).await;
    for status in [200, 200] {
        let response = client.post(INFER, &short_request()).await.unwrap();
        assert_eq!(response.status, status);
    }
    faulty.set(Behaviour::Error);
    let failed = client.post(INFER, &short_request()).await.unwrap();
    assert_ne!(failed.status, 200);
    client.post_text(INFER, "no request").await.unwrap();

    let [version] = &statistics(&client, OF_MODEL).await[..] else {
        panic!("not one version")
    };
    let stats = &version["inference_stats"];
    let number = |name: &str, member: &str| stats[name][member].as_u64().unwrap();
    assert_eq!(
        (&version["inference_count"], &version["execution_count"]),
        (&json!(2), &json!(2))
    );
    for (name, count) in [
        ("success", 2),
        ("fail", 1),
        ("queue", 2),
        ("compute_input", 2),
        ("compute_infer", 2),
        ("compute_output", 2),
    ] {
        assert_eq!(number(name, "count"), count, "{name} in {version}");
        assert!(number(name, "ns") > 0, "{name} in {version}");
    }
    let parts = ["queue", "compute_input", "compute_infer", "compute_output"];
    let parts: u64 = parts.iter().map(|name| number(name, "ns")).sum();
    assert!(number("success", "ns") >= parts, "{version}");
    assert!(version["last_inference"].as_u64() > Some(1_700_000_000_000));
    let batch = json!([{
        "batch_size": 1,
        "compute_input": stats["compute_input"],
        "compute_infer": stats["compute_infer"],
        "compute_output": stats["compute_output"],
    }]);
    assert_eq!(version["batch_stats"], batch);
}

#[tokio::test]
async fn each_version_has_its_own_statistics() {
    let models = Repository::temporary_with_model();
    models.publish("cole_kripke", MODEL_BYTES);
    models.publish("other", MODEL_BYTES);
    let mut config = config();
    config.versions = [("cole_kripke".parse().unwrap(), "all".parse().unwrap())].into();
    let (_server, client) = serve_with(&models, config, Inline).await;
    let of_first = "/v2/models/cole_kripke/versions/1/infer";
    client.post(of_first, &short_request()).await.unwrap();
    for _ in 0..2 {
        client.post(INFER, &short_request()).await.unwrap();
    }
    let entry = |model: &str, version: &str, count| (model.to_owned(), version.to_owned(), count);
    let (first, second) = (entry("cole_kripke", "1", 1), entry("cole_kripke", "2", 2));
    assert_eq!(
        answered(&client, ALL).await,
        [first.clone(), second.clone(), entry("other", "1", 0)]
    );
    assert_eq!(answered(&client, OF_MODEL).await, [first, second.clone()]);
    assert_eq!(
        answered(&client, "/v2/models/cole_kripke/versions/2/stats").await,
        [second]
    );
}

#[tokio::test]
async fn reload_of_a_version_continues_its_statistics() {
    let models = Repository::temporary_with_model();
    let (server, client) = serve(&models).await;
    client.post(INFER, &short_request()).await.unwrap();
    let manifest = models.path("1/manifest.json");
    let mut changed: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    changed["created_at"] = json!("2001-02-03T04:05:06Z");
    fs::write(&manifest, changed.to_string()).unwrap();
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(status.degraded, None);
    client.post(INFER, &short_request()).await.unwrap();
    let entry = |version: &str, count| ("cole_kripke".to_owned(), version.to_owned(), count);
    assert_eq!(answered(&client, ALL).await, [entry("1", 2)]);

    models.publish("cole_kripke", MODEL_BYTES);
    server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(answered(&client, ALL).await, [entry("2", 0)]);
}

#[tokio::test]
async fn statistics_of_a_missing_version_are_an_error() {
    let models = Repository::temporary_with_model();
    models.publish("bad", MODEL_BYTES);
    models.publish("bad", MODEL_BYTES);
    fs::write(models.weights("bad", 1), "no model").unwrap();
    fs::write(models.weights("bad", 2), "no model").unwrap();
    let (server, client) = serve(&models).await;
    for (path, status, reason) in [
        ("/v2/models/nope/stats", 404, "unknown_model"),
        ("/v2/models/nope/versions/1/stats", 404, "unknown_model"),
        (
            "/v2/models/cole_kripke/versions/9/stats",
            404,
            "unknown_version",
        ),
        (
            "/v2/models/cole_kripke/versions/x/stats",
            404,
            "unknown_version",
        ),
        ("/v2/models/bad/stats", 503, "model_corrupt"),
        ("/v2/models/bad/versions/1/stats", 503, "model_corrupt"),
    ] {
        let response = client.get(path).await.unwrap();
        response.assert_problem(status, reason);
    }
    let posted = client.post_text(ALL, "{}").await.unwrap();
    posted.assert_problem(405, "method_not_allowed");
    let entry = ("cole_kripke".to_owned(), "1".to_owned(), 0);
    assert_eq!(answered(&client, ALL).await, [entry]);
    server.models().unload("cole_kripke").unwrap();
    let response = client.get(OF_MODEL).await.unwrap();
    response.assert_problem(503, "model_unloaded");
    assert_eq!(answered(&client, ALL).await, []);
}

#[tokio::test]
async fn model_called_stats_is_described_at_its_versions() {
    let models = Repository::temporary();
    models.publish("stats", MODEL_BYTES);
    let (_server, client) = serve(&models).await;
    let infer = "/v2/models/stats/infer";
    let answer = client.post(infer, &short_request()).await.unwrap();
    assert_eq!(answer.status, 200);
    let entry = ("stats".to_owned(), "1".to_owned(), 1);
    for path in [ALL, "/v2/models/stats/stats"] {
        assert_eq!(
            answered(&client, path).await,
            std::slice::from_ref(&entry),
            "{path}"
        );
    }
    for path in ["/v2/models/stats/versions/1", "/v2/models/stats/config"] {
        let response = client.get(path).await.unwrap();
        assert_eq!(response.json()["name"], "stats", "{path}");
    }
}
