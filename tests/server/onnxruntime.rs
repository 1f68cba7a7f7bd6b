//! Models that ONNX Runtime runs, from the shared library in the environment variable
//! `CLARITY_ONNXRUNTIME`. Without the variable, the tests end at once, and say so.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clarity::{Digest, OnnxRuntimeLibrary, Reason, Server, VersionStatus};
use rten_onnx::onnx::{TypeProto, TypeProtoSequence};
use serde_json::{Value, json};

use super::external_data::{assert_refuses_outside, assert_takes_many_files};
use clarity_testbed::onnx::{
    DataType, NodeProto, OPEN, TensorProto, ValueInfoProto, model, model_with_weights, node, value,
};
use clarity_testbed::*;

/// The variable with the path of the library.
const LIBRARY: &str = "CLARITY_ONNXRUNTIME";

pub(super) fn library_path() -> Option<PathBuf> {
    let path = std::env::var_os(LIBRARY);
    if path.is_none() {
        println!("SKIPPED: {LIBRARY} names no shared library of ONNX Runtime");
    }
    path.map(PathBuf::from)
}

/// The library, loaded into this process; `None` if there is none.
pub(super) fn library() -> Option<OnnxRuntimeLibrary> {
    let path = library_path()?;
    let digest = Digest::of(&fs::read(&path).unwrap());
    Some(OnnxRuntimeLibrary::open(&path, digest).unwrap_or_else(|error| panic!("{error}")))
}

pub(super) async fn serve_by(
    library: &OnnxRuntimeLibrary,
    models: &Repository,
) -> (Server, Client) {
    let builder = Server::builder(models.root()).config(config());
    start(builder.runtime(library.clone()).executor(clarity::Inline)).await
}

pub(super) fn one_node(
    input: ValueInfoProto,
    operator: &str,
    output: ValueInfoProto,
    change: impl FnOnce(&mut NodeProto),
) -> Vec<u8> {
    let mut node = node(
        operator,
        &[input.name.as_deref().unwrap()],
        output.name.as_deref().unwrap(),
    );
    change(&mut node);
    model(vec![input], vec![node], vec![output])
}

pub(super) fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap()).collect()
}

#[tokio::test]
async fn recorded_week_is_answered_like_in_python() {
    let Some(library) = library() else { return };
    let models = Repository::temporary_with_model();
    let pat_small = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/pat_small.onnx");
    models.publish("pat_small", &fs::read(pat_small).unwrap());
    let (_server, client) = serve_by(&library, &models).await;
    let answer = client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = answer.json();
    let asleep = &answer["outputs"][1]["data"];
    assert_eq!(*asleep, json!([false, true, true, true, true]));

    let recorded: Value = serde_json::from_str(include_str!("../data/answers.json")).unwrap();
    let week = cole_kripke::request(&RecordedWeek::read().activity);
    for (model, output) in [("cole_kripke", "sleep_index"), ("pat_small", "embedding")] {
        let url = format!("/v2/models/{model}/infer");
        let answer = client.post(&url, &week).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let (found, expected) = (answer.json(), &recorded[model][output]);
        let found = &found["outputs"][0];
        assert_eq!(found["shape"], expected["shape"]);
        let (found, first) = (numbers(&found["data"]), numbers(&expected["first"]));
        for (found, expected) in found.iter().zip(first) {
            assert!((found - expected).abs() < 1e-5, "{found} and {expected}");
        }
        let sum: f64 = found.iter().map(|value| value.abs()).sum();
        assert!((sum / expected["abs_sum"].as_f64().unwrap() - 1.0).abs() < 1e-6);
    }
}

/// Each datatype with a JSON form, with values that 32 bits cannot hold.
#[tokio::test]
async fn each_datatype_arrives_and_leaves_unchanged() {
    let Some(library) = library() else { return };
    let models = Repository::temporary();
    let large = 1_i64 << 40;
    let cases = [
        ("fp32", DataType::FLOAT, "FP32", json!([-1.5, 0.0, 3.25])),
        (
            "int32",
            DataType::INT32,
            "INT32",
            json!([i32::MIN, 0, i32::MAX]),
        ),
        ("int64", DataType::INT64, "INT64", json!([-large, 0, large])),
        ("int8", DataType::INT8, "INT8", json!([-128, 0, 127])),
        ("uint8", DataType::UINT8, "UINT8", json!([0, 1, 255])),
        ("bool", DataType::BOOL, "BOOL", json!([true, false, true])),
        ("int16", DataType::INT16, "INT16", json!([-32768, 0, 32767])),
        ("uint16", DataType::UINT16, "UINT16", json!([0, 1, 65535])),
        ("uint32", DataType::UINT32, "UINT32", json!([0, u32::MAX])),
        ("uint64", DataType::UINT64, "UINT64", json!([0, u64::MAX])),
        ("fp64", DataType::DOUBLE, "FP64", json!([0.1, -1e300])),
        (
            "bytes",
            DataType::STRING,
            "BYTES",
            json!(["", "ä", "one two"]),
        ),
    ];
    for (name, datatype, ..) in &cases {
        let tensor = |name| value(name, *datatype, &[OPEN]);
        let bytes = one_node(tensor("x"), "Identity", tensor("y"), |_| {});
        models.publish(name, &bytes);
    }
    let (_server, client) = serve_by(&library, &models).await;
    for (name, _, datatype, data) in &cases {
        for data in [data, &json!([])] {
            let shape = [data.as_array().unwrap().len()];
            let input = json!({ "name": "x", "datatype": datatype, "shape": shape, "data": data });
            let url = format!("/v2/models/{name}/infer");
            let answer = client
                .post(&url, &json!({ "inputs": [input] }))
                .await
                .unwrap();
            if shape == [0] {
                // The server refuses empty dynamic dimensions.
                assert_eq!(answer.status, 400, "{}", answer.body);
                continue;
            }
            assert_eq!(answer.status, 200, "{name}: {}", answer.body);
            assert_eq!(answer.json()["outputs"][0]["data"], *data, "{name}");
        }
    }
}

#[test]
fn exceptions_are_refused() {
    let Some(library) = library() else { return };
    let models = Repository::temporary();
    let tensor = |name| value(name, DataType::INT32, &[3]);
    let shrink = one_node(tensor("x"), "Shrink", tensor("y"), |_| {});
    models.publish("m", &shrink);
    let opened = models.store.open(&"m".parse().unwrap(), version(1));
    let refused = clarity::try_version(&library, opened.unwrap()).err();
    let error = refused.unwrap();
    assert!(
        matches!(&error, clarity::RuntimeError::Excepted { refused, .. }
        if refused.node == "y" && refused.operator == "Shrink"),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.starts_with("onnxruntime"), "{text}");
    assert!(text.contains("floating-point"), "{text}");
}

#[tokio::test]
async fn operator_of_another_domain_is_served() {
    let Some(library) = library() else { return };
    let models = Repository::temporary();
    let tensor = |name| value(name, DataType::FLOAT, &[OPEN]);
    let gelu = one_node(tensor("x"), "Gelu", tensor("y"), |node| {
        node.domain = Some("com.microsoft".to_owned());
    });
    models.publish("gelu", &gelu);
    let (_server, client) = serve_by(&library, &models).await;
    let input = json!({ "name": "x", "datatype": "FP32", "shape": [3], "data": [-1, 0, 2] });
    let answer = client
        .post("/v2/models/gelu/infer", &json!({ "inputs": [input] }))
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    // x times the normal distribution function of x.
    let expected = [-0.158_655_25, 0.0, 1.954_499_7];
    for (found, expected) in numbers(&answer.json()["outputs"][0]["data"])
        .iter()
        .zip(expected)
    {
        assert!((found - expected).abs() < 1e-6, "{found} and {expected}");
    }
}

/// ONNX Runtime takes texts that end with a zero byte.
#[tokio::test]
async fn byte_string_that_is_no_text_is_refused() {
    let Some(library) = library() else { return };
    let models = Repository::temporary();
    let tensor = |name| value(name, DataType::STRING, &[OPEN]);
    let bytes = one_node(tensor("x"), "Identity", tensor("y"), |_| {});
    models.publish("texts", &bytes);
    let (_server, client) = serve_by(&library, &models).await;
    let input =
        json!({ "name": "x", "datatype": "BYTES", "shape": [2], "data": ["one", "t\u{0}o"] });
    let answer = client
        .post("/v2/models/texts/infer", &json!({ "inputs": [input] }))
        .await
        .unwrap();
    answer.assert_says("expected texts without a zero byte, found one in the element at 1");
    assert_eq!(answer.status, 400, "{}", answer.body);
}

/// A model may hold any byte as a boolean: each but 0 is true.
#[tokio::test]
async fn boolean_of_any_byte_is_true_or_false() {
    let Some(library) = library() else { return };
    let models = Repository::temporary();
    let tensor = |name| value(name, DataType::BOOL, &[5]);
    let weights = TensorProto {
        name: Some("weights".to_owned()),
        dims: vec![5],
        data_type: Some(DataType::BOOL),
        raw_data: Some(vec![2, 0, 255, 1, 128].into()),
        ..TensorProto::default()
    };
    let bytes = model_with_weights(
        vec![tensor("x")],
        vec![
            node("Identity", &["x"], "y"),
            node("Identity", &["weights"], "z"),
        ],
        vec![tensor("y"), tensor("z")],
        vec![weights],
    );
    models.publish("booleans", &bytes);
    let (_server, client) = serve_by(&library, &models).await;
    let given = json!([true, false, false, true, false]);
    let input = json!({ "name": "x", "datatype": "BOOL", "shape": [5], "data": given });
    let answer = client
        .post("/v2/models/booleans/infer", &json!({ "inputs": [input] }))
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let outputs = &answer.json()["outputs"];
    assert_eq!(outputs[0]["data"], given);
    assert_eq!(outputs[1]["data"], json!([true, false, true, true, true]));
}

/// A model that is not served, and a part of the reason.
#[tokio::test]
async fn model_that_cannot_be_served_is_refused_by_name() {
    let Some(library) = library() else { return };
    let models = Repository::temporary();
    let tensor = |name| value(name, DataType::FLOAT, &[2]);
    let brain = |name| value(name, DataType::BFLOAT16, &[2]);
    let cases = [
        ("garbage", b"ORTM, no protobuf".to_vec(), ""),
        (
            "operator",
            one_node(tensor("x"), "NoSuchOperator", tensor("y"), |_| {}),
            "NoSuchOperator",
        ),
        ("no_output", model(vec![tensor("x")], vec![], vec![]), ""),
        (
            "bfloat16",
            one_node(brain("x"), "Identity", brain("y"), |_| {}),
            "BFLOAT16",
        ),
        (
            "sequence",
            sequence_model(),
            "expected a tensor, found a sequence",
        ),
        (
            "cut",
            one_node(tensor("x"), "Identity", tensor("y"), |_| {})[..40].to_vec(),
            "",
        ),
    ];
    for (name, bytes, _) in &cases {
        models.publish(name, bytes);
    }
    let (server, _client) = serve_by(&library, &models).await;
    for (name, _, why) in &cases {
        let status = server.models().status(name).unwrap();
        match status.versions.get(&version(1)) {
            Some(VersionStatus::Refused {
                reason: Reason::ModelIncompatible,
                detail,
            }) => assert!(detail.contains(why), "{name}: {detail}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn weights_come_from_the_files_of_the_version_only() {
    let Some(library) = library() else { return };
    let _clock = ManualClock::start();
    let serve = async |models: &Repository| serve_by(&library, models).await;
    assert_takes_many_files(serve).await;
    assert_refuses_outside(serve).await;
}

/// A model whose output is a sequence of one tensor.
fn sequence_model() -> Vec<u8> {
    let tensor = |name| value(name, DataType::FLOAT, &[2]);
    let mut output = tensor("y");
    let element = output.r#type.take();
    output.r#type = Some(TypeProto {
        tensor_type: None,
        sequence: Some(Box::new(TypeProtoSequence { elem_type: element })),
    });
    let node = node("SequenceConstruct", &["x"], "y");
    model(vec![tensor("x")], vec![node], vec![output])
}

/// Runs at the same time, on more threads than sessions, get their own answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_runs_get_their_own_answers() {
    let Some(library) = library() else { return };
    let models = Repository::temporary_with_model();
    let builder = Server::builder(models.root()).config(config());
    let library = library.threads(NonZeroUsize::new(3).unwrap());
    let (_server, client) = start(builder.runtime(library)).await;
    let request = async |scale: u8| {
        let activity = [100.0 * f32::from(scale); 5];
        let answer = client.post(INFER, &cole_kripke::request(&activity)).await;
        let found = answer.unwrap().sleep_index().unwrap();
        let expected = cole_kripke::sleep_index(&activity, 1.0);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-3, "{found} and {expected}");
        }
    };
    for round in 0..8 {
        tokio::join!(
            request(round),
            request(round + 1),
            request(round + 2),
            request(round + 3),
            request(round + 4),
            request(round + 5)
        );
    }
}
