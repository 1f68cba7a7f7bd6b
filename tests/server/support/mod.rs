//! What the integration tests have in common: a server in this process, a client, models to break.

pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod faulty;
pub(crate) mod models;
pub(crate) mod onnx;
pub(crate) mod process;

use std::time::Duration;

use clarity::{Config, Executor, Inline, ModelStatus, Reason, Server, Version, VersionStatus};
use rten_onnx::onnx::DataType;
use serde_json::{Value, json};

pub(crate) use client::Client;
pub(crate) use clock::ManualClock;
pub(crate) use models::{COLE_KRIPKE, Models};
use onnx::{OPEN, model, node, value};

/// What blocks a thread until a test says otherwise ends after this at the latest: a test that has failed waits for its
/// threads, and says what failed only then. No test that succeeds takes as long.
pub(crate) const FAILED: Duration = Duration::from_secs(30);

/// A configuration in which nothing is left to chance.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.reload.seed = Some(1);
    config
}

/// A server of these models that runs everything inline, with each model tried once.
pub(crate) async fn serve(models: &Models) -> (Server, Client) {
    serve_with(models, config(), Inline).await
}

pub(crate) async fn serve_with(
    models: &Models,
    config: Config,
    executor: impl Executor,
) -> (Server, Client) {
    start(
        Server::builder(models.root())
            .config(config)
            .executor(executor),
    )
    .await
}

pub(crate) async fn start(builder: clarity::ServerBuilder) -> (Server, Client) {
    let server = builder.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    server.models().settled().await;
    let client = Client::new(server.local_addr());
    (server, client)
}

/// One week of minutes, and what ONNX Runtime answers for it.
pub(crate) struct Answers {
    pub(crate) activity: Vec<f32>,
    pub(crate) answers: Value,
}

impl Answers {
    pub(crate) fn read() -> Self {
        let json: Value = serde_json::from_str(include_str!("../data/answers.json")).unwrap();
        let activity = serde_json::from_value(json["activity"].clone()).unwrap();
        Self {
            activity,
            answers: json["cole_kripke"].clone(),
        }
    }
}

/// A request to `cole_kripke` for these minutes.
pub(crate) fn minutes(activity: &[f32]) -> Value {
    json!({ "inputs": [{ "name": "activity", "datatype": "FP32", "shape": [1, activity.len()], "data": activity }] })
}

/// A short request to `cole_kripke`, and the body of its right answer by version 1.
pub(crate) fn short_request() -> Value {
    minutes(&[8.0, 0.0, 0.0, 0.0, 0.0])
}

pub(crate) const SHORT_ANSWER: &str = concat!(
    r#"{"model_name":"cole_kripke","model_version":"1","outputs":["#,
    r#"{"name":"sleep_index","datatype":"FP32","shape":[1,5],"data":[1.84,0.60800004,0.46400002,0.432,0.84800005]},"#,
    r#"{"name":"asleep","datatype":"BOOL","shape":[1,5],"data":[false,true,true,true,true]}]}"#
);

pub(crate) const INFER: &str = "/v2/models/cole_kripke/infer";

/// The value of a series in the text format of Prometheus.
#[track_caller]
pub(crate) fn metric(server: &Server, series: &str) -> f64 {
    let text = server.metrics().render();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in:\n{text}"))
        .parse()
        .unwrap()
}

/// A model of the same inputs and outputs as `cole_kripke` whose answers differ.
pub(crate) fn other_model() -> Vec<u8> {
    let nodes = vec![
        node("Add", &["activity", "activity"], "sleep_index"),
        node("Less", &["activity", "sleep_index"], "asleep"),
    ];
    let tensor = |name, datatype| value(name, datatype, &[OPEN, 7]);
    let outputs = vec![
        tensor("sleep_index", DataType::FLOAT),
        tensor("asleep", DataType::BOOL),
    ];
    model(vec![tensor("activity", DataType::FLOAT)], nodes, outputs)
}

pub(crate) fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

pub(crate) fn reason_of(status: &ModelStatus, number: u64) -> Option<Reason> {
    match status.versions.get(&version(number)) {
        Some(VersionStatus::Refused { reason, .. }) => Some(*reason),
        _ => None,
    }
}
