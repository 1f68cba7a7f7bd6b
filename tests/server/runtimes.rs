//! The choice of the runtime that serves a version, and the places that name it.

use std::sync::Arc;

use clarity::{
    AutoRuntime, Inline, Reason, RtenRuntime, Runtime, RuntimeError, RuntimeId, Server,
    ServerBuilder, Version, Vetting, VettingLimits, try_version,
};
use serde_json::{Value, json};

use clarity_testbed::*;

use crate::CLARITY;

fn unloadable() -> RuntimeError {
    RuntimeError::Unloadable("no operator Fancy".to_owned())
}

fn auto(preferred: FakeRuntime, other: FakeRuntime) -> AutoRuntime {
    AutoRuntime::new(Arc::new(preferred), Arc::new(other))
}

fn builder(models: &Repository) -> ServerBuilder {
    let builder = Server::builder(models.root()).config(config());
    builder.executor(Inline)
}

#[tokio::test]
async fn preferred_runtime_serves_a_version_that_it_loads() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let (first, second) = (FakeRuntime::new("first"), FakeRuntime::new("second"));
    let runtime = auto(first.clone(), second.clone());
    let (server, client) = start(builder(&models).runtime(runtime)).await;
    let metadata = client.get("/v2/models/cole_kripke").await.unwrap().json();
    assert_eq!(metadata["platform"], "first_onnx");
    assert_eq!(metadata["parameters"]["runtime"], "first");
    assert_eq!(metadata["parameters"]["runtime_version"], "1.2.3");
    let config = client.get("/v2/models/cole_kripke/config").await.unwrap();
    assert_eq!(config.json()["platform"], "first_onnx");
    let answer = client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(answer.body, SHORT_ANSWER);
    let series = r#"model_runtime_info{model="cole_kripke",version="1",runtime="first",runtime_version="1.2.3"}"#;
    assert_eq!(metric(&server, series), 1.0);
    let series = r#"model_runs_total{model="cole_kripke",runtime="first"}"#;
    assert_eq!(metric(&server, series), 1.0);
    let text = server.metrics().render();
    assert!(!text.contains(r#"runtime="second""#), "{text}");
}

#[tokio::test]
async fn other_runtime_serves_a_version_that_the_first_refuses() {
    let _clock = ManualClock::start();
    let panicking = || panic!("an injected panic");
    for (reason, first) in [
        ("unloadable", FakeRuntime::new("first").refusing(unloadable)),
        ("panicked", FakeRuntime::new("first").refusing(panicking)),
    ] {
        let models = Repository::temporary_with_model();
        let runtime = auto(first, FakeRuntime::new("second"));
        let (server, client) = start(builder(&models).runtime(runtime)).await;
        let metadata = client.get("/v2/models/cole_kripke").await.unwrap().json();
        assert_eq!(metadata["platform"], "second_onnx", "{reason}");
        let answer = client.post(INFER, &short_request()).await.unwrap();
        assert_eq!(answer.body, SHORT_ANSWER, "{reason}");
        let series = format!(
            r#"model_runtime_refusals_total{{model="cole_kripke",runtime="first",reason="{reason}"}}"#
        );
        assert_eq!(metric(&server, &series), 1.0);
        let series = r#"model_runs_total{model="cole_kripke",runtime="second"}"#;
        assert_eq!(metric(&server, series), 1.0, "{reason}");
    }
}

/// An answer that fails the trial is wrong or unknown, whichever runtime gives it.
#[tokio::test]
async fn version_that_fails_its_trial_gets_no_other_runtime() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let first = FakeRuntime::new("first");
    let first = first.answering(|outputs| Ok(outputs.into_iter().rev().collect()));
    let second = FakeRuntime::new("second");
    let runtime = auto(first, second.clone());
    let (server, _client) = start(builder(&models).runtime(runtime)).await;
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(reason_of(&status, 1), Some(Reason::ModelIncompatible));
    assert_eq!(second.runs(), 0);
}

#[tokio::test]
async fn version_that_no_runtime_loads_is_refused_with_each_reason() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let first = FakeRuntime::new("first").refusing(unloadable);
    let second = FakeRuntime::new("second").refusing(|| RuntimeError::Unservable {
        tensor: "y".to_owned(),
        why: "a sequence".to_owned(),
    });
    let runtime = auto(first, second);
    let (server, client) = start(builder(&models).runtime(runtime)).await;
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(reason_of(&status, 1), Some(Reason::ModelIncompatible));
    let answer = client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(answer.status, 503);
    for part in [
        "no runtime can serve the model: ",
        "first 1.2.3: the runtime cannot load the model: no operator Fancy; ",
        "second 1.2.3: y: a sequence",
    ] {
        assert!(answer.body.contains(part), "{}", answer.body);
    }
    for series in [
        r#"model_runtime_refusals_total{model="cole_kripke",runtime="first",reason="unloadable"}"#,
        r#"model_runtime_refusals_total{model="cole_kripke",runtime="second",reason="unservable"}"#,
    ] {
        assert_eq!(metric(&server, series), 1.0);
    }
}

/// The choice among runtimes loads a copy; the server then loads the bytes that it has verified.
#[tokio::test]
async fn session_of_an_auto_runtime_is_that_of_the_choice() {
    let models = Repository::temporary_with_model();
    let open = || {
        models
            .store
            .open(&"cole_kripke".parse().unwrap(), Version::FIRST)
    };
    let second = FakeRuntime::new("second");
    let runtime = auto(
        FakeRuntime::new("first").refusing(unloadable),
        second.clone(),
    );
    assert!(try_version(&runtime, open().unwrap()).is_ok());
    assert_eq!((second.loads(), second.runs()), (1, 1));
    assert!(runtime.load(open().unwrap()).is_ok());
    assert_eq!((second.loads(), second.runs()), (2, 1));
}

/// A version that was vetted with one runtime is not served by another.
#[tokio::test]
async fn version_vetted_with_an_absent_runtime_is_not_served() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let vetting = || Vetting::child(CLARITY, &["vet"], VettingLimits::default());
    let runtime = auto(FakeRuntime::new("first"), FakeRuntime::new("second"));
    let (server, client) = start(builder(&models).vetting(vetting()).runtime(runtime)).await;
    let answer = client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(answer.status, 503);
    assert!(
        answer
            .body
            .contains("the version was vetted with rten 0.27.0"),
        "{}",
        answer.body
    );
    let name = "cole_kripke".parse().unwrap();
    assert_eq!(models.store.quarantined(&name, Version::FIRST), None);
    drop(server);

    // The same server with rten among its runtimes loads it with rten, the vetted one.
    let first = Arc::new(FakeRuntime::new("first"));
    let runtime = AutoRuntime::new(first, Arc::new(RtenRuntime::new()));
    let (_server, client) = start(builder(&models).vetting(vetting()).runtime(runtime)).await;
    let metadata = client.get("/v2/models/cole_kripke").await.unwrap().json();
    assert_eq!(metadata["platform"], "rten_onnx");
}

/// A runtime of an embedder that overrides nothing.
#[derive(Debug)]
struct Plain(RtenRuntime);

impl Runtime for Plain {
    fn load(
        &self,
        version: clarity::VerifiedVersion,
    ) -> Result<Box<dyn clarity::Session>, RuntimeError> {
        self.0.load(version)
    }
}

#[tokio::test]
async fn runtime_without_a_name_is_custom() {
    let models = Repository::temporary_with_model();
    let runtime = Plain(RtenRuntime::new());
    assert_eq!(runtime.id(), RuntimeId::new("custom", ""));
    let (server, client) = start(builder(&models).runtime(runtime)).await;
    let metadata = client.get("/v2/models/cole_kripke").await.unwrap().json();
    assert_eq!(metadata["platform"], "custom_onnx");
    assert_eq!(metadata["parameters"], json!({ "runtime": "custom" }));
    let series = r#"model_runtime_info{model="cole_kripke",version="1",runtime="custom",runtime_version=""}"#;
    assert_eq!(metric(&server, series), 1.0);
}

#[test]
fn published_version_names_its_runtime() {
    let models = Repository::temporary();
    let model = models.root().join("m.onnx");
    std::fs::write(&model, MODEL_BYTES).unwrap();
    let run = |args: &[&str]| {
        let mut command = command(CLARITY);
        command.args(args).arg("--models").arg(models.root());
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let model = model.to_str().unwrap();
    for vetting in ["child", "in-process"] {
        for runtime in ["auto", "rten"] {
            let args = [
                "add",
                "m",
                model,
                "--vetting",
                vetting,
                "--runtime",
                runtime,
                "--json",
            ];
            let (code, stdout, stderr) = run(&args);
            assert_eq!(code, Some(0), "{stderr}");
            let manifest: Value = serde_json::from_str(&stdout).unwrap();
            let expected = json!({ "name": "rten", "version": "0.27.0" });
            assert_eq!(manifest["runtime"], expected, "{vetting}, {runtime}");
        }
    }
    assert_eq!(run(&["add", "m", model, "--no-check"]).0, Some(0));
    let (_, info, _) = run(&["info", "m"]);
    let named = "\n  runtime: rten 0.27.0, when it was published\n";
    assert_eq!(info.matches(named).count(), 4, "{info}");
    let (_, list, _) = run(&["list"]);
    assert_eq!(list.matches(" rten 0.27.0 ").count(), 4, "{list}");
    let (_, list, _) = run(&["list", "--json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list[0]["runtime"]["name"], "rten");
    assert_eq!(list[4]["runtime"], Value::Null);
}
