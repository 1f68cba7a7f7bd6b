//! The protocol's extensions: those that the server supports, and errors that name the others.

use clarity_testbed::*;
use hyper::Method;
use hyper::body::Bytes;
use serde_json::json;

#[tokio::test]
async fn metadata_lists_exactly_the_supported_extensions() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    let supported = json!([
        "binary_tensor_data",
        "model_configuration",
        "model_repository",
        "statistics"
    ]);
    let metadata = client.get("/v2").await.unwrap().json();
    assert_eq!(metadata["extensions"], supported);
}

#[tokio::test]
async fn unsupported_extension_is_404_with_its_name() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    let (get, post) = (Method::GET, Method::POST);
    for (method, path, extension) in [
        (&get, "/v2/trace/setting", "trace"),
        (&post, "/v2/trace/setting", "trace"),
        (&get, "/v2/models/cole_kripke/trace/setting", "trace"),
        (&post, "/v2/models/nope/trace/setting", "trace"),
        (&get, "/v2/logging", "logging"),
        (&post, "/v2/logging", "logging"),
        (
            &get,
            "/v2/systemsharedmemory/status",
            "system_shared_memory",
        ),
        (
            &post,
            "/v2/systemsharedmemory/unregister",
            "system_shared_memory",
        ),
        (
            &post,
            "/v2/cudasharedmemory/region/r/register",
            "cuda_shared_memory",
        ),
        (&post, "/v2/models/cole_kripke/generate", "generate"),
    ] {
        let body = Bytes::from_static(b"{}");
        let response = client.send(method.clone(), path, &[], body).await.unwrap();
        response.assert_problem(404, "not_found");
        response.assert_says(&format!(
            "does not support the extension {extension}; GET /v2"
        ));
    }
    let response = client.get("/v2/models/cole_kripke/nothing").await.unwrap();
    response.assert_problem(404, "not_found");
    assert!(!response.body.contains("extension"), "{}", response.body);
}
