//! What an operator does to a store with the binary.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::process::clarity;
use crate::support::*;

fn run(models: &Models, args: &[&str]) -> Output {
    let mut command = clarity();
    command.args(args).arg("--models").arg(models.root());
    command.output().unwrap()
}

#[track_caller]
fn done(models: &Models, args: &[&str]) -> Value {
    let output = run(models, &[args, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn fails(models: &Models, args: &[&str], says: &str) {
    let output = run(models, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    assert!(said.contains(says), "{args:?}: {said}");
}

fn three() -> Models {
    let models = Models::cole_kripke();
    models.publish("cole_kripke", COLE_KRIPKE);
    models.publish("cole_kripke", COLE_KRIPKE);
    models
}

#[test]
fn rollback_holds_newer_versions_back_and_release_gives_them_free() {
    let models = three();
    let back = done(&models, &["rollback", "cole_kripke"]);
    assert_eq!(
        (&back["version"], &back["held_back"]),
        (&json!(2), &json!([3]))
    );
    let back = done(&models, &["rollback", "cole_kripke"]);
    assert_eq!(
        (&back["version"], &back["held_back"]),
        (&json!(1), &json!([2]))
    );
    fails(&models, &["rollback", "cole_kripke"], "no older version");
    let list = done(&models, &["list"]);
    assert_eq!(list[2]["quarantine"]["detail"], "rolled back to version 2");
    assert_eq!(list[0]["quarantine"], Value::Null);
    let free = done(&models, &["release", "cole_kripke", "--version", "3"]);
    assert_eq!(free["released"], true);
    let again = done(&models, &["release", "cole_kripke", "--version", "3"]);
    assert_eq!(again["released"], false);
    let to = done(&models, &["rollback", "cole_kripke", "--to", "1"]);
    assert_eq!(to["held_back"], json!([3]));
}

#[test]
fn nobody_goes_back_to_a_version_that_is_damaged_or_not_there() {
    let models = three();
    models.flip_bit("2/model.onnx", 0);
    fails(
        &models,
        &["rollback", "cole_kripke"],
        "cannot roll cole_kripke back to version 2",
    );
    fails(
        &models,
        &["rollback", "cole_kripke", "--to", "7"],
        "no version 7",
    );
    fails(
        &models,
        &["rollback", "cole_kripke", "--to", "3"],
        "at version 3 already",
    );
    fails(
        &models,
        &["rollback", "nothing"],
        "cannot read the directory of nothing",
    );
    assert!(!models.path("3.quarantine.json").exists());
}

#[test]
fn a_version_is_removed_only_when_it_is_named() {
    let models = three();
    let unnamed = run(&models, &["remove", "cole_kripke"]);
    assert_eq!(unnamed.status.code(), Some(2));
    done(
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
    done(&models, &["remove", "cole_kripke", "--version", "2"]);
    let mut left: Vec<_> = fs::read_dir(models.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["1", "3"]);
    assert_eq!(fs::read_dir(models.root()).unwrap().count(), 1);
    fails(
        &models,
        &["remove", "cole_kripke", "--version", "2"],
        "no version 2",
    );
}

#[test]
fn info_tells_files_and_quarantines() {
    let models = three();
    fs::remove_file(models.path("1/manifest.json")).unwrap();
    done(
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
    let info = done(&models, &["info", "cole_kripke"]);
    assert_eq!(info["versions"][0]["reason"], "unverified");
    assert_eq!(
        info["versions"][1]["manifest"]["files"]["model.onnx"]["size"],
        473
    );
    assert_eq!(info["versions"][2]["quarantine"]["detail"], "drifts");
    let text = String::from_utf8(run(&models, &["info", "cole_kripke"]).stdout).unwrap();
    assert!(text.contains("(operator): drifts"), "{text}");
    assert!(text.contains("837b04d3"), "{text}");
    fails(&models, &["info", "nothing"], "no model nothing");
}

/// One model that cannot be looked into and one without versions: both are told, and neither hides the others.
#[cfg(unix)]
#[test]
fn verify_goes_on_after_what_it_cannot_read_and_calls_nothing_good_that_is_not_there() {
    let models = Models::cole_kripke();
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
fn add_refuses_a_pipe_and_does_not_wait_for_it() {
    let models = Models::empty();
    let pipe = models.root().join("pipe.onnx");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let args = ["add", "pipe", pipe.to_str().unwrap()];
    fails(&models, &args, "expected a regular file, found a pipe");
}

/// What a publication that was killed has left is removed by the next one; what is being published is not.
#[cfg(unix)]
#[test]
fn what_a_killed_publication_has_left_goes_with_the_next_and_one_under_way_stays() {
    let models = Models::empty();
    let left = models.root().join(".publish-1-0");
    fs::create_dir_all(left.join("version")).unwrap();
    fs::write(left.join("version/model.onnx"), "half a mod").unwrap();
    let model = "slow".parse().unwrap();
    let entry = "model.onnx".parse().unwrap();
    let files = [(
        "model.onnx".parse().unwrap(),
        clarity::Source::Bytes(COLE_KRIPKE.to_vec()),
    )];
    let under_way = models.store.stage(&model, &entry, &files.into()).unwrap();
    fs::create_dir_all(left.join("version")).unwrap();
    let file = models.root().join("model.onnx");
    fs::write(&file, COLE_KRIPKE).unwrap();
    done(&models, &["add", "quick", file.to_str().unwrap()]);
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

fn import(models: &Models, old: &Path, listed: &str) -> (Option<i32>, Value) {
    let path = old.join("checksums.json");
    fs::write(&path, listed).unwrap();
    let output = run(models, &["import", path.to_str().unwrap(), "--json"]);
    let told = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), told)
}

#[test]
fn models_of_a_checksums_json_are_imported_once() {
    let (models, old) = (Models::empty(), tempfile::tempdir().unwrap());
    fs::create_dir(old.path().join("sleep")).unwrap();
    fs::write(old.path().join("sleep/sleep.onnx"), COLE_KRIPKE).unwrap();
    let digest = clarity::Digest::of(COLE_KRIPKE).to_string();
    let listed = checksums(&digest.to_uppercase(), 473).to_string();
    let (code, told) = import(&models, old.path(), &listed);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(told[0]["published"], true);
    let opened = models
        .store
        .open(&"sleep".parse().unwrap(), version(1))
        .unwrap();
    assert_eq!(opened.manifest().entry().as_str(), "sleep.onnx");
    let (code, told) = import(&models, old.path(), &listed);
    assert_eq!(
        (code, &told[0]["published"], &told[0]["version"]),
        (Some(0), &json!(false), &json!(1))
    );
}

#[test]
fn what_is_not_as_listed_is_not_imported_and_the_rest_is() {
    let (models, old) = (Models::empty(), tempfile::tempdir().unwrap());
    fs::write(old.path().join("sleep.onnx"), COLE_KRIPKE).unwrap();
    let digest = clarity::Digest::of(COLE_KRIPKE).to_string();
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
    let (code, told) = import(&models, old.path(), &listed.to_string());
    assert_eq!(code, Some(1));
    let of = |name: &str| {
        let told = told.as_array().unwrap().iter();
        told.clone()
            .find(|row| row["model"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(of("good")["ok"], true);
    for (name, says) in [
        ("algorithm", "expected the algorithm sha256"),
        ("other", "sleep.onnx: expected 473 bytes, SHA-256 e3b0c442"),
        ("total", "473 bytes by their sizes and 474"),
        ("up", "it contains . or .."),
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
