//! Requests that no model can answer.

use clarity_testbed::*;
use serde_json::{Value, json};

/// Each row has the defect, the request, and a part of the message.
#[tokio::test]
async fn malformed_request_is_400_and_names_the_expected_form() {
    let (server, client) = serve(&Repository::temporary_with_model()).await;
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
            "missing input activity of type FP32",
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
            "input activity: invalid type: string \"1\", expected 2 elements (a number in the range of FP32, or \"NaN\", \"Infinity\" or \"-Infinity\")",
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
            "an input that is a number",
            json!({ "inputs": [short_request()["inputs"][0], 7] }),
            "inputs[1]: invalid type: integer `7`, expected an object",
        ),
        (
            "a number beyond 32 bits",
            input(json!({ "data": [1e39, 2] })),
            "invalid value",
        ),
        (
            "both binary data and data",
            input(json!({ "parameters": { "binary_data_size": 8 } })),
            "input activity: expected data or the parameter binary_data_size, found both",
        ),
        (
            "shared memory",
            input(json!({ "parameters": { "shared_memory_region": "r" } })),
            "shared_memory_region",
        ),
    ];
    for (defect, request, says) in cases {
        let response = client.post(INFER, &request).await.unwrap();
        response.assert_problem(400, "invalid_request");
        response.assert_says(says);
        assert_eq!(response.json()["model"], "cole_kripke", "{defect}");
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
        let response = client.post(INFER, &request).await.unwrap();
        response.assert_problem(400, "invalid_request");
        response.assert_says(says);
    }
    let twice = json!({ "inputs": [short_request()["inputs"][0], short_request()["inputs"][0]] });
    client
        .post(INFER, &twice)
        .await
        .unwrap()
        .assert_says("listed twice");
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
            .unwrap()
            .assert_problem(400, "invalid_request");
    }
    client
        .post_text(INFER, vec![0xff; 10])
        .await
        .unwrap()
        .assert_problem(400, "invalid_request");
    assert_eq!(
        server
            .models()
            .breaker("cole_kripke")
            .unwrap()
            .consecutive_failures,
        0,
        "a malformed request counted as a failure"
    );
}
