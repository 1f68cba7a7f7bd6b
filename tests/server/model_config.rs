//! The configuration of a model, as the protocol's model configuration extension describes it.

use std::fs;

use clarity::Inline;
use clarity_testbed::onnx::{DataType, OPEN, model, node, value};
use clarity_testbed::*;
use serde_json::json;

#[tokio::test]
async fn config_describes_the_served_version() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    let tensor = |name: &str, data_type: &str| json!({ "name": name, "data_type": data_type, "dims": [-1, -1] });
    let expected = json!({
        "name": "cole_kripke",
        "platform": "rten_onnx",
        "version_policy": { "latest": { "num_versions": 1 } },
        "max_batch_size": 0,
        "input": [tensor("activity", "TYPE_FP32")],
        "output": [tensor("sleep_index", "TYPE_FP32"), tensor("asleep", "TYPE_BOOL")],
        "default_model_filename": "model.onnx",
    });
    for path in [
        "/v2/models/cole_kripke/config",
        "/v2/models/cole_kripke/versions/1/config",
    ] {
        let response = client.get(path).await.unwrap();
        assert_eq!(response.status, 200, "{}", response.body);
        assert_eq!(response.headers["content-type"], "application/json");
        assert_eq!(response.json(), expected, "{path}");
    }
}

#[tokio::test]
async fn config_has_every_datatype_and_dimension() {
    let models = Repository::temporary();
    for (name, datatype) in [
        ("fp32", DataType::FLOAT),
        ("int32", DataType::INT32),
        ("int64", DataType::INT64),
        ("bool", DataType::BOOL),
        ("uint8", DataType::UINT8),
        ("int8", DataType::INT8),
    ] {
        let [x, y] = ["x", "y"].map(|tensor| value(tensor, datatype, &[2, OPEN, 3]));
        let copy = vec![node("Identity", &["x"], "y")];
        models.publish(name, &model(vec![x], copy, vec![y]));
    }
    let (_server, client) = serve(&models).await;
    for name in ["fp32", "int32", "int64", "bool", "uint8", "int8"] {
        let path = format!("/v2/models/{name}/config");
        let config = client.get(&path).await.unwrap().json();
        let data_type = format!("TYPE_{}", name.to_uppercase());
        let tensor =
            |name: &str| json!([{ "name": name, "data_type": data_type, "dims": [2, -1, 3] }]);
        assert_eq!(
            (&config["input"], &config["output"]),
            (&tensor("x"), &tensor("y"))
        );
    }
}

#[tokio::test]
async fn config_has_the_version_policy_of_the_model() {
    for (policy, expected) in [
        ("latest", json!({ "latest": { "num_versions": 1 } })),
        ("all", json!({ "all": {} })),
        ("1,7", json!({ "specific": { "versions": [1, 7] } })),
    ] {
        let models = Repository::temporary_with_model();
        models.publish("other", MODEL_BYTES);
        let mut config = config();
        config.versions = [("cole_kripke".parse().unwrap(), policy.parse().unwrap())].into();
        let (_server, client) = serve_with(&models, config, Inline).await;
        let config = client.get("/v2/models/cole_kripke/config").await.unwrap();
        assert_eq!(config.json()["version_policy"], expected);
        let other = client.get("/v2/models/other/config").await.unwrap();
        assert_eq!(
            other.json()["version_policy"],
            json!({ "latest": { "num_versions": 1 } })
        );
    }
}

#[tokio::test]
async fn config_of_a_missing_version_is_an_error() {
    let models = Repository::temporary_with_model();
    models.publish("bad", MODEL_BYTES);
    fs::write(models.weights("bad", 1), "no model").unwrap();
    let (_server, client) = serve(&models).await;
    for (path, status, reason) in [
        ("/v2/models/nope/config", 404, "unknown_model"),
        (
            "/v2/models/cole_kripke/versions/2/config",
            404,
            "unknown_version",
        ),
        ("/v2/models/bad/config", 503, "model_corrupt"),
    ] {
        let response = client.get(path).await.unwrap();
        response.assert_problem(status, reason);
    }
}
