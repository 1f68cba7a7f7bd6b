//! The shared library of ONNX Runtime, as the command line records, verifies and loads it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clarity::Digest;
use serde_json::{Value, json};

use super::onnxruntime::{library_path, one_node};
use crate::CLARITY;
use clarity_testbed::onnx::{DataType, OPEN, value};
use clarity_testbed::*;

/// A directory with a record, a model file and models. The commands know no telemetry variable.
struct Setting {
    directory: tempfile::TempDir,
}

impl Setting {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // rten does not have this operator.
        let tensor = |name| value(name, DataType::FLOAT, &[1, OPEN]);
        let gelu = one_node(tensor("activity"), "Gelu", tensor("y"), |node| {
            node.domain = Some("com.microsoft".to_owned());
        });
        fs::write(directory.path().join("gelu.onnx"), gelu).unwrap();
        Self { directory }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.directory.path().join(inside)
    }

    fn command(&self) -> Command {
        let mut command = command(CLARITY);
        command
            .env_remove("ORT_DISABLE_TELEMETRY")
            // ONNX Runtime sends nothing with these variables, either.
            .env_remove("CI")
            .env_remove("ORT_RUNNING_UNIT_TESTS")
            .env("CLARITY_MODELS", self.path("models"))
            .env("CLARITY_ONNXRUNTIME_RECORD", self.path("record.json"));
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// Runs a command that must succeed, and returns its standard output.
    #[track_caller]
    fn succeed(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail, and returns its standard error.
    #[track_caller]
    fn fail(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {errors}");
        errors
    }

    /// Records the library, and returns its path as text.
    fn with_record(&self, library: &Path) -> String {
        let library = library.to_str().unwrap().to_owned();
        self.succeed(&["runtime", "add", &library]);
        library
    }
}

fn digest_of(path: &Path) -> String {
    Digest::of(&fs::read(path).unwrap()).to_string()
}

#[test]
fn without_a_record_the_command_says_how_to_get_the_library() {
    let setting = Setting::new();
    let shown = setting.succeed(&["runtime"]);
    assert!(shown.starts_with("rten 0."), "{shown}");
    for part in [
        "ONNX Runtime: none",
        "pip install onnxruntime",
        "clarity runtime add",
    ] {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
    let model = setting.path("gelu.onnx");
    let refused = setting.fail(&[
        "add",
        "gelu",
        model.to_str().unwrap(),
        "--runtime=onnxruntime",
    ]);
    assert!(refused.contains("see `clarity runtime`"), "{refused}");
}

#[test]
fn recorded_library_runs_what_rten_refuses() {
    let Some(library) = library_path() else {
        return;
    };
    let setting = Setting::new();
    let model = setting.path("gelu.onnx");
    let add = ["add", "gelu", model.to_str().unwrap()];
    let refused = setting.fail(&add);
    assert!(refused.contains("Gelu"), "{refused}");
    let path = setting.with_record(&library);
    let shown = setting.succeed(&["runtime"]);
    for part in [&*path, &digest_of(&library)] {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
    let shown: Value = serde_json::from_str(&setting.succeed(&["runtime", "--json"])).unwrap();
    assert_eq!(shown[1]["library"]["path"], json!(path));
    let version = shown[1]["library"]["version"].as_str().unwrap();
    assert_eq!(version.split('.').count(), 3, "{version}");
    setting.succeed(&add);
    setting.succeed(&[&add[..], &["--vetting=in-process"]].concat());

    // The flags alone name the library, too. The configuration file can contain them.
    fs::remove_file(setting.path("record.json")).unwrap();
    setting.fail(&add);
    let flags = ["--onnxruntime", &path, "--onnxruntime-sha256"];
    let digest = digest_of(&library);
    setting.succeed(&[&add[..], &flags, &[&digest]].concat());
    setting.fail(&[&add[..], &flags[..2]].concat());
}

#[test]
fn file_with_another_digest_is_not_loaded() {
    let Some(library) = library_path() else {
        return;
    };
    let setting = Setting::new();
    let (copy, model) = (setting.path("library.so"), setting.path("gelu.onnx"));
    fs::copy(&library, &copy).unwrap();
    setting.with_record(&copy);
    let mut bytes = fs::read(&copy).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&copy).unwrap();
    fs::write(&copy, &bytes).unwrap();
    let (expected, found) = (digest_of(&library), digest_of(&copy));
    let says = |errors: &str| {
        for part in [&*expected, &found, "clarity runtime add"] {
            assert!(errors.contains(part), "{part:?} is not in {errors}");
        }
    };
    let model = model.to_str().unwrap();
    says(&setting.fail(&["add", "gelu", model, "--vetting=in-process"]));
    says(&setting.fail(&["add", "gelu", model]));
    says(&setting.fail(&["serve", "--listen=127.0.0.1:0"]));
    let shown = setting.run(&["runtime"]);
    assert_eq!(shown.status.code(), Some(1));
    says(&String::from_utf8(shown.stdout).unwrap());
    // Without ONNX Runtime, nothing looks at the file.
    let refused = setting.fail(&["add", "gelu", model, "--runtime=rten"]);
    assert!(refused.contains("Gelu"), "{refused}");
}

#[test]
fn file_that_is_no_library_is_not_recorded() {
    let Some(_) = library_path() else { return };
    let setting = Setting::new();
    let file = setting.path("gelu.onnx");
    let refused = setting.fail(&["runtime", "add", file.to_str().unwrap()]);
    assert!(refused.contains("cannot load the library"), "{refused}");
    let missing = setting.path("missing.so");
    setting.fail(&["runtime", "add", missing.to_str().unwrap()]);
    setting.fail(&["runtime", "add", setting.directory.path().to_str().unwrap()]);
    assert!(!setting.path("record.json").exists());
}

/// The variable is in the environment of a server from the beginning.
#[test]
#[cfg(target_os = "linux")]
fn program_executes_itself_once_more_without_the_variable() {
    let Some(library) = library_path() else {
        return;
    };
    let setting = Setting::new();
    setting.with_record(&library);
    fs::create_dir(setting.path("models")).unwrap();
    let mut serve = setting.command();
    serve.args(["serve", "--listen=127.0.0.1:0", "--drain-delay=0s"]);
    let server = ServerProcess::spawn(serve.stderr(Stdio::null()));
    let environment = fs::read(format!("/proc/{}/environ", server.child.id())).unwrap();
    let has = |environment: &[u8]| {
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|variable| variable == b"ORT_DISABLE_TELEMETRY=1")
    };
    assert!(has(&environment));

    // The second execution is the last one.
    let mut add = setting.command();
    add.args(["add", "gelu", setting.path("gelu.onnx").to_str().unwrap()]);
    let refused = add.env("CLARITY_TELEMETRY_OFF", "1").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert!(errors.contains("ORT_DISABLE_TELEMETRY=1"), "{errors}");
}

/// A running server keeps its library. A version that cannot be vetted meanwhile is not bad.
#[tokio::test]
async fn replaced_library_is_no_fault_of_a_version() {
    let Some(library) = library_path() else {
        return;
    };
    let setting = Setting::new();
    let copy = setting.path("library.so");
    fs::copy(&library, &copy).unwrap();
    setting.with_record(&copy);
    let models = Repository::at(setting.path("models"));
    models.publish(MODEL, MODEL_BYTES);
    let mut serve = setting.command();
    serve.args([
        "serve",
        "--listen=127.0.0.1:0",
        "--drain-delay=0s",
        "--poll=10ms",
    ]);
    serve.args([
        "--settle-time=0s",
        "--backoff-least=10ms",
        "--backoff-most=20ms",
    ]);
    let server = ServerProcess::spawn(serve.stderr(Stdio::null()));
    server.until_status(200).await;

    fs::rename(&copy, setting.path("before.so")).unwrap();
    fs::write(&copy, "another library").unwrap();
    models.publish("other", MODEL_BYTES);
    let infer = async || {
        let request = short_request();
        let answer = server.client.post("/v2/models/other/infer", &request);
        answer.await.unwrap()
    };
    until_some("the version was refused", async || {
        infer()
            .await
            .body
            .contains("clarity runtime add")
            .then_some(())
    })
    .await;
    server.until_status(200).await;
    fs::rename(setting.path("before.so"), &copy).unwrap();
    until_some("the version answers", async || {
        (infer().await.status == 200).then_some(())
    })
    .await;
}
