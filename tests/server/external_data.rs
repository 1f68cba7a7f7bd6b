//! Models with their weights in a separate file: the weights come from verified bytes only.

use std::fs;

use clarity::{ModelStatus, Reason, Server, VersionStatus};
use rten_onnx::onnx::{DataLocation, StringStringEntryProto};
use serde_json::json;

use clarity_testbed::onnx::{DataType, OPEN, TensorProto, model_with_weights, node, value};
use clarity_testbed::*;

/// The name of the weights file.
const FILE: &str = "weights.onnx_data";
/// The offset of the weights in their file, after other bytes.
const OFFSET: usize = 16;
const WEIGHT: f32 = 3.0;

fn weights() -> Vec<u8> {
    [[7; OFFSET].as_slice(), &WEIGHT.to_le_bytes()].concat()
}

/// A model that multiplies its input by one number. `entries` locate that number.
fn model(entries: &[(&str, &str)]) -> Vec<u8> {
    let tensor = |name| value(name, DataType::FLOAT, &[1, OPEN]);
    model_with_weights(
        vec![tensor("activity")],
        vec![node("Mul", &["activity", "weight"], "scaled")],
        vec![tensor("scaled")],
        vec![weight("weight", entries)],
    )
}

fn publish(models: &Repository, entries: &[(&str, &str)], file: &str) -> u64 {
    let (model, weights) = (model(entries), weights());
    let files: [(&str, &[u8]); 2] = [("model.onnx", &model), (file, &weights)];
    models.publish_files("cole_kripke", &files).unwrap()
}

const GOOD: [(&str, &str); 3] = [("location", FILE), ("offset", "16"), ("length", "4")];

async fn assert_answers(client: &Client) {
    let answer = client
        .post(INFER, &cole_kripke::request(&[1.0, 2.0]))
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["outputs"][0]["data"], json!([3.0, 6.0]));
}

#[tokio::test]
async fn external_weights_are_verified_like_the_model() {
    let _clock = ManualClock::start();
    let models = Repository::temporary();
    publish(&models, &GOOD, FILE);
    let (server, client) = serve(&models).await;
    assert_answers(&client).await;

    // The loaded model is in memory, so editing, truncating or removing the file changes no answer.
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

    // A server that starts with damaged files has no version that can answer.
    models.flip_bit("1/model.onnx", 0);
    let (_server, client) = serve(&models).await;
    assert_eq!(
        client
            .post(INFER, &cole_kripke::request(&[1.0]))
            .await
            .unwrap()
            .status,
        503
    );
}

/// A weight of one number in the file `location`.
fn weight(name: &str, entries: &[(&str, &str)]) -> TensorProto {
    let entry = |&(key, value): &(&str, &str)| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    TensorProto {
        name: Some(name.to_owned()),
        dims: vec![1],
        data_type: Some(DataType::FLOAT),
        data_location: Some(DataLocation::EXTERNAL),
        external_data: entries.iter().map(entry).collect(),
        ..TensorProto::default()
    }
}

/// Any number of files, in subdirectories, and under names that the runtime itself does not take.
/// The offset and the length may be left out.
#[tokio::test]
async fn weights_can_be_in_many_files_of_any_name() {
    assert_takes_many_files(async |models| serve(models).await).await;
}

/// Checks that a server of these models takes weights from files of any name.
pub(super) async fn assert_takes_many_files(serve: impl AsyncFn(&Repository) -> (Server, Client)) {
    const NAMES: [&str; 6] = [
        "weights.bin",
        "deep/er/weights",
        "Constant_5",
        "inside.data",
        "external-0.data",
        "spaß in files",
    ];
    let models = Repository::temporary();
    let mut nodes = Vec::new();
    let mut weights = Vec::new();
    let mut before = "activity".to_owned();
    for (number, file) in NAMES.iter().enumerate() {
        let (name, after) = (format!("weight{number}"), format!("scaled{number}"));
        nodes.push(node("Add", &[&before, &name], &after));
        let entries = [("location", *file), ("offset", "4"), ("length", "4")];
        // ONNX has defaults for the offset and the length.
        weights.push(match number {
            0 => weight(&name, &entries[..1]),
            1 => weight(&name, &entries[..2]),
            _ => weight(&name, &entries),
        });
        before = after;
    }
    let tensor = |name: &str| value(name, DataType::FLOAT, &[1, OPEN]);
    let model = model_with_weights(
        vec![tensor("activity")],
        nodes,
        vec![tensor(&before)],
        weights,
    );
    let contents: Vec<Vec<u8>> = (0..NAMES.len())
        .map(|number| {
            let weight = 10_f32.powi(number as i32).to_le_bytes();
            match number {
                0 => weight.to_vec(),
                _ => [[7; 4], weight].concat(),
            }
        })
        .collect();
    let mut files: Vec<(&str, &[u8])> = vec![("model.onnx", &model)];
    files.extend(
        NAMES
            .iter()
            .zip(&contents)
            .map(|(name, bytes)| (*name, &**bytes)),
    );
    models.publish_files("cole_kripke", &files).unwrap();
    let (_server, client) = serve(&models).await;
    let request = cole_kripke::request(&[0.0, 1.0]);
    let answer = client.post(INFER, &request).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let outputs = answer.json();
    assert_eq!(outputs["outputs"][0]["data"], json!([111111.0, 111112.0]));
}

#[cfg(unix)]
#[tokio::test]
async fn weights_behind_a_link_are_refused() {
    let _clock = ManualClock::start();
    let models = Repository::temporary();
    publish(&models, &GOOD, FILE);
    let outside = models.root().join("outside.onnx_data");
    fs::rename(models.path("1/weights.onnx_data"), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, models.path("1/weights.onnx_data")).unwrap();
    let (_server, client) = serve(&models).await;
    let request = cole_kripke::request(&[1.0]);
    let refused = client.post(INFER, &request).await.unwrap();
    refused.assert_problem(503, "link_not_allowed");
    refused.assert_says(outside.to_str().unwrap());
    refused.assert_says("--follow-links-under");
}

#[tokio::test]
async fn weights_outside_of_the_version_are_refused() {
    let _clock = ManualClock::start();
    assert_refuses_outside(async |models| serve(models).await).await;
}

/// Checks that a server of these models takes weights from the files of the version only.
pub(super) async fn assert_refuses_outside(serve: impl AsyncFn(&Repository) -> (Server, Client)) {
    let models = Repository::temporary();
    publish(&models, &GOOD, FILE);
    // The right bytes at the right offset, but in files that no manifest lists.
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
