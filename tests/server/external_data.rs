//! Models whose weights lie in a file of their own: read from the version's verified bytes, and from nothing else.

use std::collections::BTreeMap;
use std::fs;

use clarity::{ModelStatus, Reason, Source, VersionStatus};
use rten_onnx::onnx::{
    DataLocation, DataType, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto,
};
use serde_json::json;

use crate::support::onnx::{OPEN, node, value};
use crate::support::*;

/// The file that the weights are in, and where: behind something else.
const FILE: &str = "weights.onnx_data";
const OFFSET: usize = 16;
const WEIGHT: f32 = 3.0;

fn weights() -> Vec<u8> {
    [[7; OFFSET].as_slice(), &WEIGHT.to_le_bytes()].concat()
}

/// `scaled` is `activity` times one number, which is where `entries` say.
fn model(entries: &[(&str, &str)]) -> Vec<u8> {
    let entry = |&(key, value): &(&str, &str)| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    let weight = TensorProto {
        name: Some("weight".to_owned()),
        dims: vec![1],
        data_type: Some(DataType::FLOAT),
        data_location: Some(DataLocation::EXTERNAL),
        external_data: entries.iter().map(entry).collect(),
        ..TensorProto::default()
    };
    let tensor = |name| value(name, DataType::FLOAT, &[1, OPEN]);
    let graph = GraphProto {
        node: vec![node("Mul", &["activity", "weight"], "scaled")],
        initializer: vec![weight],
        input: vec![tensor("activity")],
        output: vec![tensor("scaled")],
        ..GraphProto::default()
    };
    let opset = OperatorSetIdProto {
        domain: Some(String::new()),
        version: Some(17),
    };
    let model = ModelProto {
        ir_version: Some(8),
        graph: Some(graph),
        opset_import: vec![opset],
        ..ModelProto::default()
    };
    model.write_buf().unwrap()
}

fn publish(models: &Models, entries: &[(&str, &str)], file: &str) -> u64 {
    let entry = "model.onnx".parse().unwrap();
    let files = BTreeMap::from([
        ("model.onnx".parse().unwrap(), Source::Bytes(model(entries))),
        (file.parse().unwrap(), Source::Bytes(weights())),
    ]);
    let name = "cole_kripke".parse().unwrap();
    let manifest = models.store.publish(&name, &entry, &files).unwrap();
    manifest.version().get()
}

const GOOD: [(&str, &str); 3] = [("location", FILE), ("offset", "16"), ("length", "4")];

async fn assert_answers(client: &Client) {
    let answer = client.post(INFER, &minutes(&[1.0, 2.0])).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["outputs"][0]["data"], json!([3.0, 6.0]));
}

#[tokio::test]
async fn weights_of_their_own_are_verified_like_the_model() {
    let _clock = ManualClock::start();
    let models = Models::empty();
    publish(&models, &GOOD, FILE);
    let (server, client) = serve(&models).await;
    assert_answers(&client).await;

    // What answers was read into memory: nobody who edits, cuts or removes the file changes an answer.
    let path = models.path("1/weights.onnx_data");
    let reload = async || server.models().reload("cole_kripke").await.unwrap();
    let reason = |status: ModelStatus| reason_of(&status, 1);
    models.flip_bit("1/weights.onnx_data", 8 * OFFSET);
    assert_eq!(reason(reload().await), Some(Reason::ModelCorrupt));
    assert_answers(&client).await;
    fs::write(&path, &weights()[..OFFSET]).unwrap();
    assert_eq!(reason(reload().await), Some(Reason::ModelCorrupt));
    assert_answers(&client).await;
    fs::remove_file(&path).unwrap();
    assert_eq!(reason(reload().await), Some(Reason::ModelMissing));
    assert_answers(&client).await;

    // Started on them, there is nothing to answer with.
    models.flip_bit("1/model.onnx", 0);
    let (_server, client) = serve(&models).await;
    assert_eq!(client.post(INFER, &minutes(&[1.0])).await.status, 503);
}

#[tokio::test]
async fn a_name_that_the_runtime_does_not_take_is_refused_with_those_that_it_does() {
    let _clock = ManualClock::start();
    let models = Models::empty();
    publish(
        &models,
        &[("location", "weights.bin"), GOOD[1], GOOD[2]],
        "weights.bin",
    );
    let (_server, client) = serve(&models).await;
    let refused = client.post(INFER, &minutes(&[1.0])).await;
    refused.assert_problem(503, "model_incompatible");
    refused.assert_says("weights.bin");
    refused.assert_says("ends with .data or .onnx_data");
}

#[tokio::test]
async fn weights_are_in_files_of_the_version_and_nowhere_else() {
    let _clock = ManualClock::start();
    let models = Models::empty();
    publish(&models, &GOOD, FILE);
    // Right bytes, right places, and files that nobody has promised.
    let outside = models.root().join("outside.onnx_data");
    fs::write(&outside, weights()).unwrap();
    let absolute = outside.to_str().unwrap().to_owned();
    let (server, client) = serve(&models).await;
    let at = |location: &str| {
        [("location", location), GOOD[1], GOOD[2]]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec()
    };
    let place = |offset: &str, length: &str| {
        [GOOD[0], ("offset", offset), ("length", length)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec()
    };
    let cases = [
        at("../../outside.onnx_data"),
        at("../1/weights.onnx_data"),
        at("./weights.onnx_data"),
        at(&absolute),
        at("/proc/self/environ"),
        at("other.onnx_data"),
        at(""),
        place("16", "5"),
        place("17", "4"),
        place("18446744073709551615", "4"),
        place("16", "18446744073709551615"),
        place("18446744073709551612", "18446744073709551612"),
        place("-16", "4"),
        place("16", "0"),
        place("16", "3"),
    ];
    for entries in cases {
        let entries: Vec<_> = entries
            .iter()
            .map(|(key, value)| (&**key, &**value))
            .collect();
        let number = publish(&models, &entries, FILE);
        let status = server.models().reload("cole_kripke").await.unwrap();
        match status.versions.get(&version(number)) {
            Some(VersionStatus::Refused {
                reason: Reason::ModelIncompatible,
                detail,
            }) => assert!(detail.contains("weight"), "{entries:?}: {detail}"),
            other => panic!("{entries:?}: {other:?}"),
        }
        assert_eq!(status.serving.unwrap().0, version(1));
        assert_answers(&client).await;
    }
}
