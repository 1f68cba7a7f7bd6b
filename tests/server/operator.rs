//! The commands that change a store, and `verify`, `info` and `import`.

use std::fs;
use std::path::Path;
use std::process::Output;

use clarity_testbed::*;
use serde_json::{Value, json};

use crate::CLARITY;

fn run(models: &Repository, args: &[&str]) -> Output {
    let mut command = command(CLARITY);
    command.args(args).arg("--models").arg(models.root());
    command.output().unwrap()
}

#[track_caller]
fn succeed(models: &Repository, args: &[&str]) -> Value {
    let output = run(models, &[args, &["--json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn fail(models: &Repository, args: &[&str], says: &str) {
    let output = run(models, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    assert!(stderr.contains(says), "{args:?}: {stderr}");
}

fn three() -> Repository {
    let models = Repository::temporary_with_model();
    models.publish("cole_kripke", MODEL_BYTES);
    models.publish("cole_kripke", MODEL_BYTES);
    models
}

#[test]
fn rollback_quarantines_newer_versions_until_released() {
    let models = three();
    let back = succeed(&models, &["rollback", "cole_kripke"]);
    assert_eq!(
        (&back["version"], &back["held_back"]),
        (&json!(2), &json!([3]))
    );
    let back = succeed(&models, &["rollback", "cole_kripke"]);
    assert_eq!(
        (&back["version"], &back["held_back"]),
        (&json!(1), &json!([2]))
    );
    fail(&models, &["rollback", "cole_kripke"], "no older version");
    let list = succeed(&models, &["list"]);
    assert_eq!(list[2]["quarantine"]["detail"], "rolled back to version 2");
    assert_eq!(list[0]["quarantine"], Value::Null);
    let free = succeed(&models, &["release", "cole_kripke", "--version", "3"]);
    assert_eq!(free["released"], true);
    let again = succeed(&models, &["release", "cole_kripke", "--version", "3"]);
    assert_eq!(again["released"], false);
    let to = succeed(&models, &["rollback", "cole_kripke", "--to", "1"]);
    assert_eq!(to["held_back"], json!([3]));
}

#[test]
fn rollback_to_a_damaged_or_missing_version_fails() {
    let models = three();
    models.flip_bit("2/model.onnx", 0);
    fail(
        &models,
        &["rollback", "cole_kripke"],
        "cannot roll cole_kripke back to version 2",
    );
    fail(
        &models,
        &["rollback", "cole_kripke", "--to", "7"],
        "no version 7",
    );
    fail(
        &models,
        &["rollback", "cole_kripke", "--to", "3"],
        "already at version 3",
    );
    fail(&models, &["rollback", "nothing"], "nothing");
    assert!(!models.path("3.quarantine.json").exists());
}

#[test]
fn remove_needs_the_number_of_a_version() {
    let models = three();
    let unnamed = run(&models, &["remove", "cole_kripke"]);
    assert_eq!(unnamed.status.code(), Some(2));
    succeed(
        &models,
        &[
            "quarantine",
            "cole_kripke",
            "--version",
            "2",
            "--because",
            "no",
        ],
    );
    succeed(&models, &["remove", "cole_kripke", "--version", "2"]);
    let mut left: Vec<_> = fs::read_dir(models.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["1", "3"]);
    assert_eq!(fs::read_dir(models.root()).unwrap().count(), 1);
    fail(
        &models,
        &["remove", "cole_kripke", "--version", "2"],
        "no version 2",
    );
}

#[test]
fn info_shows_files_and_quarantines() {
    let models = three();
    fs::remove_file(models.path("1/manifest.json")).unwrap();
    succeed(
        &models,
        &[
            "quarantine",
            "cole_kripke",
            "--version",
            "3",
            "--because",
            "drifts",
        ],
    );
    let info = ["info", "cole_kripke", "--settle-time", "0s"];
    let info = succeed(&models, &info);
    assert_eq!(info["versions"][0]["reason"], "unverified");
    assert_eq!(
        info["versions"][1]["manifest"]["files"]["model.onnx"]["size"],
        473
    );
    assert_eq!(info["versions"][2]["quarantine"]["detail"], "drifts");
    let text = String::from_utf8(run(&models, &["info", "cole_kripke"]).stdout).unwrap();
    assert!(text.contains("(operator): drifts"), "{text}");
    assert!(text.contains("837b04d3"), "{text}");
    fail(&models, &["info", "nothing"], "no model nothing");
}

#[test]
fn verify_reports_a_model_without_versions_and_goes_on() {
    let models = Repository::temporary_with_model();
    fs::create_dir(models.root().join("a_empty")).unwrap();
    let output = run(&models, &["verify", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found[0]["reason"], "model_missing");
    assert_eq!(found[0]["version"], Value::Null);
    assert_eq!(
        (&found[1]["model"], &found[1]["ok"]),
        (&json!("cole_kripke"), &json!(true))
    );
}

#[cfg(unix)]
#[test]
fn add_refuses_a_pipe_without_waiting_for_it() {
    let models = Repository::temporary();
    let pipe = models.root().join("pipe.onnx");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let args = ["add", "pipe", pipe.to_str().unwrap()];
    fail(&models, &args, "expected a regular file, found a pipe");
}

#[cfg(unix)]
#[test]
fn publication_removes_debris_but_none_under_way() {
    let models = Repository::temporary();
    let left = models.root().join(".publish-1-0");
    fs::create_dir_all(left.join("version")).unwrap();
    fs::write(left.join("version/model.onnx"), "half a mod").unwrap();
    let model = "slow".parse().unwrap();
    let entry = "model.onnx".parse().unwrap();
    let files = [(
        "model.onnx".parse().unwrap(),
        clarity::Source::Bytes(MODEL_BYTES.to_vec()),
    )];
    let under_way = models.store.stage(&model, &entry, &files.into()).unwrap();
    fs::create_dir_all(left.join("version")).unwrap();
    let file = models.root().join("model.onnx");
    fs::write(&file, MODEL_BYTES).unwrap();
    succeed(&models, &["add", "quick", file.to_str().unwrap()]);
    assert!(!left.exists());
    assert_eq!(under_way.publish().unwrap().version(), version(1));
    models.store.open(&model, version(1)).unwrap();
}

fn checksums(digest: &str, size: u64) -> Value {
    json!({ "sleep": {
        "created_at": "2024-01-31T09:30:00Z",
        "total_size_bytes": size,
        "files": { "sleep.onnx": { "checksum": digest, "size_bytes": size, "algorithm": "sha256" } },
    } })
}

fn import(models: &Repository, old: &Path, listed: &str) -> (Option<i32>, Value) {
    let path = old.join("checksums.json");
    fs::write(&path, listed).unwrap();
    let output = run(models, &["import", path.to_str().unwrap(), "--json"]);
    let rows = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), rows)
}

#[test]
fn import_publishes_each_model_once() {
    let (models, old) = (Repository::temporary(), tempfile::tempdir().unwrap());
    fs::create_dir(old.path().join("sleep")).unwrap();
    fs::write(old.path().join("sleep/sleep.onnx"), MODEL_BYTES).unwrap();
    let digest = clarity::Digest::of(MODEL_BYTES).to_string();
    let listed = checksums(&digest.to_uppercase(), 473).to_string();
    let (code, rows) = import(&models, old.path(), &listed);
    assert_eq!(code, Some(0), "{rows}");
    assert_eq!(rows[0]["published"], true);
    let opened = models
        .store
        .open(&"sleep".parse().unwrap(), version(1))
        .unwrap();
    assert_eq!(opened.manifest().entry().as_str(), "sleep.onnx");
    let (code, rows) = import(&models, old.path(), &listed);
    assert_eq!(
        (code, &rows[0]["published"], &rows[0]["version"]),
        (Some(0), &json!(false), &json!(1))
    );
}

#[test]
fn import_skips_mismatching_models_and_imports_the_rest() {
    let (models, old) = (Repository::temporary(), tempfile::tempdir().unwrap());
    fs::write(old.path().join("sleep.onnx"), MODEL_BYTES).unwrap();
    let digest = clarity::Digest::of(MODEL_BYTES).to_string();
    let good = checksums(&digest, 473)["sleep"].clone();
    let other = checksums(&clarity::Digest::of(b"").to_string(), 473)["sleep"].clone();
    let with = |field: &str, value: Value| {
        let mut model = good.clone();
        *model.pointer_mut(field).unwrap() = value;
        model
    };
    let file = "/files/sleep.onnx";
    let listed = json!({
        "algorithm": with(&format!("{file}/algorithm"), json!("md5")),
        "good": good,
        "other": other,
        "total": with("/total_size_bytes", json!(474)),
        "up": { "total_size_bytes": 473, "files": { "../sleep.onnx": good["files"]["sleep.onnx"] } },
        "../up": good,
    });
    let (code, rows) = import(&models, old.path(), &listed.to_string());
    assert_eq!(code, Some(1));
    let of = |name: &str| {
        let rows = rows.as_array().unwrap().iter();
        rows.clone()
            .find(|row| row["model"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(of("good")["ok"], true);
    for (name, says) in [
        ("algorithm", "expected the algorithm sha256"),
        ("other", "sleep.onnx: expected 473 bytes, SHA-256 e3b0c442"),
        ("total", "expected 473, the sum of the sizes, found 474"),
        ("up", "sleep.onnx"),
        ("../up", "expected a model's name"),
    ] {
        let row = of(name);
        assert_eq!(row["ok"], false, "{row}");
        assert!(row["detail"].as_str().unwrap().contains(says), "{row}");
    }
    assert_eq!(models.store.models().unwrap().entries.len(), 1);
    let twice = format!(r#"{{"a": {good}, "a": {good}}}"#);
    assert_eq!(import(&models, old.path(), &twice).0, Some(1));
}
