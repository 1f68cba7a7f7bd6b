//! Second opinions: the answers of two runtimes to the same inputs are compared before a version is
//! served.

use std::fs;
use std::sync::Arc;

use clarity::{
    AutoRuntime, Inline, Probe, Reason, RtenRuntime, RunError, RuntimeError, SecondOpinionPolicy,
    Server, Source, Tensor, TensorData, Vetting,
};
use tracing::Level;

use clarity_testbed::*;

use crate::CLARITY;
use crate::logs::{Capture, assert_fields};

use SecondOpinionPolicy::{Off, Require, Warn};

fn auto(first: FakeRuntime, second: FakeRuntime) -> AutoRuntime {
    AutoRuntime::new(Arc::new(first), Arc::new(second))
}

/// Serves the models with the runtimes `first` and `second`, vetted in this process.
async fn serve_both(
    models: &Repository,
    policy: SecondOpinionPolicy,
    first: FakeRuntime,
    second: FakeRuntime,
) -> (Server, Client) {
    let builder = Server::builder(models.root()).config(config());
    let builder = builder.executor(Inline).runtime(auto(first, second));
    start(builder.vetting(Vetting::in_process().second_opinion(policy))).await
}

/// The result and the sentence of the second opinion in the metadata of the model.
async fn opinion_of(client: &Client) -> (String, String) {
    let metadata = client.get("/v2/models/cole_kripke").await.unwrap().json();
    let parameters = &metadata["parameters"];
    let text = |name: &str| parameters[name].as_str().unwrap_or_default().to_owned();
    (text("second_opinion"), text("second_opinion_detail"))
}

fn count(server: &Server, result: &str) -> f64 {
    let labels = format!(r#"{{model="cole_kripke",result="{result}"}}"#);
    metric(server, &format!("model_second_opinions_total{labels}"))
}

/// Changes the first number of the first output.
fn changed(outputs: Vec<Tensor>, change: impl Fn(f32) -> f32) -> Vec<Tensor> {
    let mut outputs = outputs.into_iter();
    let (shape, data) = outputs.next().unwrap().into_parts();
    let TensorData::Fp32(mut values) = data else {
        panic!("the first output of the model is not FP32");
    };
    values[0] = change(values[0]);
    let first = Tensor::new(shape, TensorData::Fp32(values)).unwrap();
    std::iter::once(first).chain(outputs).collect()
}

/// A number that is no answer of the model, but near to one.
fn by_a_hair(value: f32) -> f32 {
    value + 0.000_3 + value.abs() * 0.002
}

/// Replaces the first output.
fn replaced(outputs: Vec<Tensor>, shape: &[usize], data: TensorData) -> Vec<Tensor> {
    let first = Tensor::new(shape.to_vec(), data).unwrap();
    std::iter::once(first)
        .chain(outputs.into_iter().skip(1))
        .collect()
}

/// Runtimes with other answers, and a part of the opinion's sentence.
fn disagreeing() -> Vec<(&'static str, FakeRuntime, &'static str)> {
    let fake = || FakeRuntime::new("second");
    vec![
        (
            "hair",
            fake().answering(|outputs| Ok(changed(outputs, by_a_hair))),
            "drawn input 1, output sleep_index at 0: first 1.2.3 answers ",
        ),
        (
            "nan",
            fake().answering(|outputs| Ok(changed(outputs, |_| f32::NAN))),
            "second 1.2.3 answers NaN",
        ),
        (
            "infinite",
            fake().answering(|outputs| Ok(changed(outputs, |_| f32::INFINITY))),
            "second 1.2.3 answers inf",
        ),
        (
            "shape",
            fake().answering(|outputs| Ok(replaced(outputs, &[3], TensorData::Fp32(vec![0.0; 3])))),
            "output sleep_index: first 1.2.3 answers FP32 [1, 1], second 1.2.3 answers FP32 [3]",
        ),
        (
            "type",
            fake().answering(|outputs| {
                let shape = outputs[0].shape().to_vec();
                let data = TensorData::Int32(vec![0; shape.iter().product()]);
                Ok(replaced(outputs, &shape, data))
            }),
            "second 1.2.3 answers INT32 [1, 1]",
        ),
        (
            "number",
            fake().answering(|outputs| Ok(outputs.into_iter().take(1).collect())),
            "drawn input 1: first 1.2.3 answers 2 outputs, second 1.2.3 answers 1 outputs",
        ),
    ]
}

#[tokio::test]
async fn same_answers_agree_and_are_counted() {
    let _clock = ManualClock::start();
    let (capture, _guard) = Capture::start();
    let models = Repository::temporary_with_model();
    let within = |value: f32| value + value.abs() * 0.000_1;
    let second = FakeRuntime::new("second");
    let second = second.answering(move |outputs| Ok(changed(outputs, within)));
    let first = FakeRuntime::new("first");
    let (server, client) = serve_both(&models, Require, first, second.clone()).await;
    let events = capture.take(Level::INFO);
    let event = events
        .iter()
        .find(|event| event["message"] == "second opinion");
    assert_fields(
        event.unwrap(),
        &[("runtime", "first 1.2.3"), ("version", "1")],
    );
    let (result, detail) = opinion_of(&client).await;
    assert_eq!(result, "agreed");
    let says = "agreed: second 1.2.3 gives the same answers to 8 of 8 input(s)";
    assert_eq!(detail, says);
    assert_eq!(second.runs(), 8);
    assert_eq!(
        (count(&server, "agreed"), count(&server, "disagreed")),
        (1.0, 0.0)
    );
    let answer = client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(answer.body, SHORT_ANSWER);
    assert_eq!(second.runs(), 8, "the second runtime answered a request");
}

#[tokio::test]
async fn other_answers_are_served_with_a_warning() {
    let _clock = ManualClock::start();
    for (name, second, says) in disagreeing() {
        let (capture, _guard) = Capture::start();
        let models = Repository::temporary_with_model();
        let first = FakeRuntime::new("first");
        let (server, client) = serve_both(&models, Warn, first, second).await;
        let warnings = capture.take(Level::WARN);
        assert_eq!(warnings.len(), 1, "{name}: {warnings:?}");
        let expected = [("message", "second opinion"), ("model", "cole_kripke")];
        assert_fields(&warnings[0], &expected);
        let (result, detail) = opinion_of(&client).await;
        assert_eq!(result, "disagreed", "{name}");
        assert!(detail.contains(says), "{name}: {detail}");
        assert_eq!(warnings[0]["detail"], detail, "{name}");
        assert_eq!(count(&server, "disagreed"), 1.0, "{name}");
        let answer = client.post(INFER, &short_request()).await.unwrap();
        assert_eq!(answer.body, SHORT_ANSWER, "{name}");
    }
}

#[tokio::test]
async fn other_answers_are_refused_if_an_opinion_is_required() {
    let _clock = ManualClock::start();
    for (name, second, says) in disagreeing() {
        let models = Repository::temporary_with_model();
        let first = FakeRuntime::new("first");
        let (server, client) = serve_both(&models, Require, first, second).await;
        let status = server.models().status("cole_kripke").unwrap();
        assert_eq!(
            reason_of(&status, 1),
            Some(Reason::ModelIncompatible),
            "{name}"
        );
        let answer = client.post(INFER, &short_request()).await.unwrap();
        assert_eq!(answer.status, 503, "{name}");
        assert!(answer.body.contains(says), "{name}: {}", answer.body);
        assert!(
            answer.body.contains("--second-opinion warn"),
            "{}",
            answer.body
        );
        assert_eq!(count(&server, "disagreed"), 1.0, "{name}");
    }
}

#[tokio::test]
async fn version_that_one_runtime_can_run_is_single() {
    let _clock = ManualClock::start();
    let unloadable = || RuntimeError::Unloadable("no operator Fancy".to_owned());
    let failing = |_| Err(RunError::Failed("an injected error".to_owned()));
    let fake = FakeRuntime::new;
    for (first, second, says) in [
        (
            fake("first").refusing(unloadable),
            fake("second"),
            "single: first 1.2.3 cannot run the model: the runtime cannot load the model: no operator Fancy",
        ),
        (
            fake("first"),
            fake("second").refusing(unloadable),
            "single: second 1.2.3 cannot run the model: the runtime cannot load the model: no operator Fancy",
        ),
        (
            fake("first"),
            fake("second").refusing(|| panic!("an injected panic")),
            "the runtime panicked while loading: an injected panic",
        ),
        (
            fake("first"),
            fake("second").answering(failing),
            "it refused each of 8 input(s): the model failed: an injected error",
        ),
        (
            fake("first"),
            fake("second").answering(|_| panic!("an injected panic")),
            "it refused each of 8 input(s): it panicked: an injected panic",
        ),
    ] {
        let models = Repository::temporary_with_model();
        let (server, client) = serve_both(&models, Require, first, second).await;
        let (result, detail) = opinion_of(&client).await;
        assert_eq!(result, "single", "{detail}");
        assert!(detail.contains(says), "{detail}");
        assert_eq!(count(&server, "single"), 1.0);
        let answer = client.post(INFER, &short_request()).await.unwrap();
        assert_eq!(answer.body, SHORT_ANSWER);
    }
}

/// An input that one of the runtimes refuses is not compared.
#[tokio::test]
async fn refused_inputs_do_not_count() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let runs = std::sync::atomic::AtomicUsize::new(0);
    let second = FakeRuntime::new("second").answering(move |outputs| {
        match runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            1 => Err(RunError::Failed("an injected error".to_owned())),
            2 => panic!("an injected panic"),
            _ => Ok(outputs),
        }
    });
    let (_server, client) = serve_both(&models, Require, FakeRuntime::new("first"), second).await;
    let (_, detail) = opinion_of(&client).await;
    assert!(detail.ends_with("to 6 of 8 input(s)"), "{detail}");
}

#[tokio::test]
async fn probe_is_compared_too() {
    let _clock = ManualClock::start();
    let models = Repository::temporary();
    let entry = "model.onnx".parse().unwrap();
    let sources = [(
        "model.onnx".parse().unwrap(),
        Source::Bytes(MODEL_BYTES.to_vec()),
    )];
    let name = "cole_kripke".parse().unwrap();
    let mut staged = models.store.stage(&name, &entry, &sources.into()).unwrap();
    let probe = Probe::parse(short_request().to_string().as_bytes()).unwrap();
    let session = clarity::try_version(&RtenRuntime::new(), staged.open().unwrap()).unwrap();
    staged.add_probe(&probe.record(&*session).unwrap()).unwrap();
    staged.publish().unwrap();

    let second = FakeRuntime::new("second");
    let (_server, client) = serve_both(&models, Require, FakeRuntime::new("first"), second).await;
    let (_, detail) = opinion_of(&client).await;
    assert!(detail.ends_with("to 9 of 9 input(s)"), "{detail}");
    let second = FakeRuntime::new("second").answering(|outputs| Ok(changed(outputs, by_a_hair)));
    let (_server, client) = serve_both(&models, Warn, FakeRuntime::new("first"), second).await;
    let (_, detail) = opinion_of(&client).await;
    assert!(
        detail.starts_with("disagreed: the probe, output sleep_index at 0: "),
        "{detail}"
    );
}

#[tokio::test]
async fn second_runtime_is_not_asked_without_a_policy() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let second = FakeRuntime::new("second");
    let (server, client) =
        serve_both(&models, Off, FakeRuntime::new("first"), second.clone()).await;
    assert_eq!(second.loads(), 0);
    assert_eq!(opinion_of(&client).await, (String::new(), String::new()));
    let text = server.metrics().render();
    assert!(!text.contains("model_second_opinions_total{"), "{text}");
}

/// One runtime alone gives no opinion: nothing is logged, counted or shown.
#[tokio::test]
async fn server_with_one_runtime_has_no_opinions() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let (server, client) = serve(&models).await;
    assert_eq!(opinion_of(&client).await, (String::new(), String::new()));
    let text = server.metrics().render();
    assert!(!text.contains("model_second_opinions_total{"), "{text}");

    let builder = Server::builder(models.root()).config(config());
    let builder = builder.vetting(Vetting::in_process().second_opinion(Require));
    let refused = builder.bind(([127, 0, 0, 1], 0).into()).await.unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("second-opinion: expected a second runtime"),
        "{text}"
    );
    assert!(text.contains("`clarity runtime`"), "{text}");
    assert!(text.contains("only rten 0.27.0"), "{text}");
}

/// Nothing is known about a model that refuses each drawn input.
#[tokio::test]
async fn version_without_a_comparable_answer_is_uncompared() {
    let _clock = ManualClock::start();
    let failing = |_| Err(RunError::Failed("an injected error".to_owned()));
    for policy in [Warn, Require] {
        let models = Repository::temporary_with_model();
        let first = FakeRuntime::new("first").answering(failing);
        let (server, client) = serve_both(&models, policy, first, FakeRuntime::new("second")).await;
        assert_eq!(count(&server, "uncompared"), 1.0);
        if policy == Warn {
            let (result, detail) = opinion_of(&client).await;
            assert_eq!(result, "uncompared");
            assert!(
                detail.contains("the model refused each of 8 input(s)"),
                "{detail}"
            );
        } else {
            let answer = client.post(INFER, &short_request()).await.unwrap();
            assert_eq!(answer.status, 503);
            let says = "publish the version with a probe";
            assert!(answer.body.contains(says), "{}", answer.body);
        }
    }
}

#[test]
fn command_line_has_a_policy_of_second_opinions() {
    let models = Repository::temporary();
    let file = models.root().join("m.onnx");
    fs::write(&file, MODEL_BYTES).unwrap();
    let run = |args: &[&str]| {
        let mut command = command(CLARITY);
        command.args(args).arg("--models").arg(models.root());
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), stderr)
    };
    let file = file.to_str().unwrap();
    let add = ["add", "m", file, "--runtime", "rten", "--second-opinion"];
    for (command, is_add) in [
        (&["serve", "--runtime", "rten"][..], false),
        (&add[..5], true),
    ] {
        let with = |policy| run(&[command, &["--second-opinion", policy]].concat());
        let (code, stderr) = with("require");
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.contains("second-opinion: expected a second runtime"),
            "{stderr}"
        );
        assert!(stderr.contains("`clarity runtime`"), "{stderr}");
        let (code, stderr) = with("perhaps");
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("expected off, warn or require"), "{stderr}");
        if is_add {
            assert_eq!(with("warn").0, Some(0));
        }
    }
}
