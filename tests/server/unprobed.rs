//! Versions without a probe that refuse every generated input.

use std::fs;
use std::process::Output;

use clarity::{Reason, Server};
use serde_json::{Value, json};

use clarity_testbed::onnx::{DataType, OPEN, TensorProto, model_with_weights, node, value};
use clarity_testbed::*;

use crate::CLARITY;

/// A model that accepts exactly 15 numbers, which no generated input has.
fn fifteen() -> Vec<u8> {
    let shape = TensorProto {
        dims: vec![2],
        data_type: Some(DataType::INT64),
        int64_data: vec![3, 5],
        name: Some("shape".to_owned()),
        ..Default::default()
    };
    model_with_weights(
        vec![value("x", DataType::FLOAT, &[1, OPEN])],
        vec![node("Reshape", &["x", "shape"], "y")],
        vec![value("y", DataType::FLOAT, &[3, 5])],
        vec![shape],
    )
}

fn request(count: usize) -> Value {
    let data: Vec<usize> = (0..count).collect();
    json!({ "inputs": [{ "name": "x", "datatype": "FP32", "shape": [1, count], "data": data }] })
}

fn run(models: &Repository, args: &[&str]) -> Output {
    let mut command = command(CLARITY);
    command.args(args).arg("--models").arg(models.root());
    command.output().unwrap()
}

/// The standard output of a successful command.
fn succeed(models: &Repository, args: &[&str]) -> String {
    let output = run(models, args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(models: &Repository, args: &[&str]) -> Value {
    serde_json::from_str(&succeed(models, &[args, &["--json"]].concat())).unwrap()
}

/// The standard error of a failed command.
fn fail(models: &Repository, args: &[&str]) -> String {
    let output = run(models, args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn is_unprobed(server: &Server, model: &str) -> bool {
    let series = format!(r#"model_version_unprobed{{model="{model}"}}"#);
    metric(server, &series) > 0.0
}

#[tokio::test]
async fn version_that_refuses_generated_inputs_is_served() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.publish("fifteen", &fifteen());
    let (server, client) = serve(&models).await;
    let status = server.models().status("fifteen").unwrap();
    assert_eq!(status.serving.unwrap().0, version(1), "{status:?}");
    let metadata = client.get("/v2/models/fifteen").await.unwrap().json();
    assert_eq!(metadata["parameters"]["unprobed"], true);
    let detail = metadata["parameters"]["unprobed_detail"].as_str().unwrap();
    assert!(
        detail.starts_with("the model refused 8 generated input(s): the model failed: "),
        "{detail}"
    );
    assert!(is_unprobed(&server, "fifteen"));
    let answer = client.post("/v2/models/fifteen/infer", &request(15)).await;
    assert_eq!(answer.unwrap().json()["outputs"][0]["data"][14], 14.0);

    // The other model was warmed up.
    let metadata = client.get("/v2/models/cole_kripke").await.unwrap().json();
    assert_eq!(metadata["parameters"]["unprobed"], Value::Null);
    assert!(!is_unprobed(&server, "cole_kripke"));
}

#[tokio::test]
async fn errors_and_panics_in_generated_runs_are_no_verdict() {
    let _clock = ManualClock::start();
    for behaviour in [Behaviour::Error, Behaviour::Panic] {
        let models = Repository::temporary_with_model();
        let faulty = FaultSwitch::new();
        faulty.set(behaviour);
        let builder = Server::builder(models.root()).config(config());
        let builder = builder.executor(clarity::Inline).runtime(faulty.runtime());
        let (server, client) = start(builder).await;
        assert!(is_unprobed(&server, "cole_kripke"), "{behaviour:?}");
        faulty.set(Behaviour::Normal);
        let answer = client.post(INFER, &short_request()).await.unwrap();
        assert_eq!(answer.body, SHORT_ANSWER, "{behaviour:?}");
        // The next load finds that the version answers.
        models.publish("cole_kripke", &other_model());
        server.models().reload("cole_kripke").await.unwrap();
        assert!(!is_unprobed(&server, "cole_kripke"), "{behaviour:?}");
    }
}

#[test]
fn unprobed_version_is_named_until_it_gets_a_probe() {
    let models = Repository::temporary();
    let model = models.root().join("fifteen.onnx");
    let file = models.root().join("request.json");
    let [model, file] = [&model, &file].map(|path| path.to_str().unwrap());
    fs::write(model, fifteen()).unwrap();
    let added = succeed(&models, &["add", "fifteen", model]);
    assert!(
        added.contains("\nunprobed: the model refused 8 generated input(s): "),
        "{added}"
    );
    assert!(
        added.contains("clarity probe fifteen request.json"),
        "{added}"
    );
    let listed = succeed(&models, &["list"]);
    assert!(listed.contains("unprobed"), "{listed}");
    assert_eq!(json_of(&models, &["list"])[0]["probe"], "unprobed");
    let info = succeed(&models, &["info", "fifteen"]);
    assert!(info.contains("\n  unprobed: the model refused"), "{info}");
    assert!(info.contains("clarity probe fifteen"), "{info}");

    // A request that the model refuses is no probe.
    fs::write(file, request(16).to_string()).unwrap();
    let refused = fail(&models, &["probe", "fifteen", file]);
    assert!(
        refused.contains("request.json: the probe failed: the model failed: "),
        "{refused}"
    );
    assert_eq!(
        json_of(&models, &["list"]).as_array().unwrap().len(),
        1,
        "a failed probe has published"
    );

    fs::write(file, request(15).to_string()).unwrap();
    let probed = succeed(&models, &["probe", "fifteen", file]);
    assert!(probed.contains("published fifteen 2: "), "{probed}");
    assert!(probed.contains("\nprobe recorded: SHA-256"), "{probed}");
    let info = json_of(&models, &["info", "fifteen"]);
    let [first, second] = [0, 1].map(|at| &info["versions"][at]["manifest"]);
    assert_eq!(second["files"]["model.onnx"], first["files"]["model.onnx"]);
    assert_eq!(
        (&first["probe"], &second["probe"]),
        (&Value::Null, &json!("probe.json"))
    );
    assert_eq!(second["unprobed"], Value::Null);
    assert_eq!(json_of(&models, &["list"])[1]["probe"], "recorded");
    let written = fs::read(models.root().join("fifteen/2/probe.json")).unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(written["outputs"][0]["shape"], json!([3, 5]));

    // Another probe replaces this one, on a version of choice.
    let again = json_of(&models, &["probe", "fifteen", file, "--version", "2"]);
    assert_eq!(
        (&again["version"], &again["files"]),
        (&json!(3), &second["files"])
    );
}

#[test]
fn add_with_a_probe_generates_no_inputs() {
    let models = Repository::temporary();
    let model = models.root().join("fifteen.onnx");
    let file = models.root().join("request.json");
    let [model, file] = [&model, &file].map(|path| path.to_str().unwrap());
    fs::write(model, fifteen()).unwrap();
    fs::write(file, request(15).to_string()).unwrap();
    for vetting in ["child", "in-process"] {
        let args = [
            "add",
            "fifteen",
            model,
            "--probe",
            file,
            "--vetting",
            vetting,
        ];
        let manifest = json_of(&models, &args);
        assert_eq!(manifest["unprobed"], Value::Null, "{vetting}");
        assert_eq!(manifest["probe"], "probe.json", "{vetting}");
    }
}

#[test]
fn probe_of_a_withdrawn_or_missing_version_is_refused() {
    let models = Repository::temporary_with_model();
    let file = models.root().join("request.json");
    fs::write(&file, short_request().to_string()).unwrap();
    let file = file.to_str().unwrap();
    let name: clarity::ModelName = "cole_kripke".parse().unwrap();
    models.store.quarantine(&name, version(1), "why").unwrap();
    let refused = fail(&models, &["probe", "cole_kripke", file]);
    assert!(
        refused.contains("cole_kripke 1 is withdrawn: why: name the version"),
        "{refused}"
    );
    let probed = json_of(&models, &["probe", "cole_kripke", file, "--version", "1"]);
    assert_eq!(probed["version"], 2);
    let refused = fail(&models, &["probe", "cole_kripke", file, "--version", "7"]);
    assert!(refused.contains("no version 7"), "{refused}");
    let refused = fail(&models, &["probe", "nobody", file]);
    assert!(refused.contains("no model nobody"), "{refused}");
    fs::write(models.version("cole_kripke", 2).join("model.onnx"), "rot").unwrap();
    let refused = fail(&models, &["probe", "cole_kripke", file]);
    assert!(refused.contains("cannot copy cole_kripke 2: "), "{refused}");
}

/// The runs of a vetted version are not repeated in the server's process.
#[tokio::test]
async fn version_found_unprobed_in_the_child_is_not_run_again() {
    let _clock = ManualClock::start();
    let models = Repository::temporary();
    models.publish("fifteen", &fifteen());
    let limits = clarity::VettingLimits::default();
    let vetting = clarity::Vetting::child(CLARITY, &["vet"], limits);
    let faulty = FaultSwitch::new();
    let builder = Server::builder(models.root())
        .config(config())
        .vetting(vetting);
    let builder = builder.executor(clarity::Inline).runtime(faulty.runtime());
    let (server, _client) = start(builder).await;
    assert!(is_unprobed(&server, "fifteen"));
    assert_eq!(faulty.runs(), 0);
    let status = server.models().status("fifteen").unwrap();
    assert_eq!(reason_of(&status, 1), None::<Reason>);
}
