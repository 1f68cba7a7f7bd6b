//! The log: one event for each failure, with model, version and reason as fields.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::sync::{Arc, LazyLock, Mutex};

use clarity::{Inline, Server};
use clarity_testbed::*;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};

pub(crate) type Fields = BTreeMap<&'static str, String>;

/// Captures the log events of the library.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<Vec<(Level, Fields)>>>);

impl Capture {
    /// Captures the events of the current thread until the guard is dropped. Each test runs its
    /// server on this thread.
    pub(crate) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        // With only one subscriber, the thread that first reaches a place in the code decides for
        // all threads whether the place logs, by its own subscriber. Other tests have none.
        static SECOND: LazyLock<Dispatch> =
            LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));
        LazyLock::force(&SECOND);
        let capture = Self::default();
        let subscriber = tracing_subscriber::registry().with(capture.clone());
        (capture, tracing::subscriber::set_default(subscriber))
    }

    /// The events of this level since the last call. Each call discards the events of all levels.
    pub(crate) fn take(&self, level: Level) -> Vec<Fields> {
        let events = std::mem::take(&mut *self.0.lock().unwrap());
        events
            .into_iter()
            .filter(|(found, _)| *found == level)
            .map(|(_, fields)| fields)
            .collect()
    }
}

impl<S: Subscriber> tracing_subscriber::Layer<S> for Capture {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("clarity") {
            let mut fields = FieldVisitor::default();
            event.record(&mut fields);
            self.0
                .lock()
                .unwrap()
                .push((*event.metadata().level(), fields.0));
        }
    }
}

#[derive(Default)]
struct FieldVisitor(Fields);

impl Visit for FieldVisitor {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

#[track_caller]
pub(crate) fn assert_fields(event: &Fields, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(
            event.get(name).map(String::as_str),
            Some(*value),
            "{name} in {event:?}"
        );
    }
}

#[tokio::test]
async fn refused_version_is_one_event_per_attempt() {
    let _clock = ManualClock::start();
    let (capture, _guard) = Capture::start();
    let models = Repository::temporary_with_model();
    fs::write(models.path("1/model.onnx"), "short").unwrap();
    let (server, _client) = serve(&models).await;
    let expected = [
        ("message", "model version refused"),
        ("model", "cole_kripke"),
        ("version", "1"),
        ("reason", "model_corrupt"),
        ("file", "model.onnx"),
        ("expected", "473 bytes"),
        ("found", "5 bytes"),
    ];
    let events = capture.take(Level::ERROR);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_fields(&events[0], &expected);
    server.models().reload("cole_kripke").await.unwrap();
    let events = capture.take(Level::ERROR);
    assert_eq!(events.len(), 1, "each attempt is one event: {events:?}");
    fs::write(models.path("1/model.onnx"), MODEL_BYTES).unwrap();
    server.models().reload("cole_kripke").await.unwrap();
    let events = capture.take(Level::INFO);
    assert_fields(
        &events[0],
        &[
            ("message", "model version loaded"),
            ("model", "cole_kripke"),
            ("version", "1"),
            ("runtime", "rten 0.27.0"),
        ],
    );
}

#[tokio::test]
async fn failed_prediction_is_one_event_and_a_good_one_none() {
    let _clock = ManualClock::start();
    let (capture, _guard) = Capture::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let builder = Server::builder(models.root())
        .config(config())
        .executor(Inline)
        .runtime(faulty.runtime());
    let (_server, client) = start(builder).await;
    capture.take(Level::INFO);
    client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(
        capture.0.lock().unwrap().len(),
        0,
        "a good prediction was logged"
    );
    faulty.set(Behaviour::Error);
    client.post(INFER, &short_request()).await.unwrap();
    let events = capture.take(Level::ERROR);
    assert_eq!(events.len(), 1, "{events:?}");
    let expected = [
        ("message", "prediction failed"),
        ("model", "cole_kripke"),
        ("version", "1"),
        ("reason", "inference_failed"),
        ("detail", "the model failed: an injected error"),
    ];
    assert_fields(&events[0], &expected);
    client.post_text(INFER, "").await.unwrap();
    let events = capture.take(Level::DEBUG);
    assert_fields(
        &events[0],
        &[
            ("message", "prediction refused"),
            ("reason", "invalid_request"),
        ],
    );
}

#[tokio::test]
async fn opening_breaker_is_one_event() {
    let _clock = ManualClock::start();
    let (capture, _guard) = Capture::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let builder = Server::builder(models.root())
        .config(config())
        .executor(Inline)
        .runtime(faulty.runtime());
    let (_server, client) = start(builder).await;
    faulty.set(Behaviour::Error);
    for _ in 0..8 {
        client.post(INFER, &short_request()).await.unwrap();
    }
    let events = capture.take(Level::WARN);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_fields(
        &events[0],
        &[
            ("model", "cole_kripke"),
            ("from", "closed"),
            ("to", "open"),
            ("reason", "circuit_open"),
        ],
    );
}

#[tokio::test]
async fn judging_run_says_whose_fault_failures_are() {
    let clock = ManualClock::start();
    let (capture, _guard) = Capture::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let builder = Server::builder(models.root())
        .config(config())
        .executor(Inline)
        .runtime(faulty.runtime());
    let (_server, client) = start(builder).await;
    client.post(INFER, &short_request()).await.unwrap();
    faulty.poison(Behaviour::Error);
    capture.take(Level::INFO);
    for _ in 0..20 {
        let request = cole_kripke::request(&[POISON; 5]);
        client.post(INFER, &request).await.unwrap();
    }
    let events = capture.take(Level::WARN);
    assert_eq!(events.len(), 1, "{events:?}");
    let expected = [
        (
            "message",
            "the failures are the requests' fault: the model passes",
        ),
        ("model", "cole_kripke"),
        ("version", "1"),
        ("by", "last good input"),
    ];
    assert_fields(&events[0], &expected);

    clock.run_out(1.0).await;
    faulty.set(Behaviour::Error);
    for _ in 0..5 {
        client.post(INFER, &short_request()).await.unwrap();
    }
    let events = capture.take(Level::ERROR);
    let expected = [
        (
            "message",
            "the failures are the model's fault: it fails its judging run",
        ),
        ("model", "cole_kripke"),
        ("version", "1"),
        ("by", "last good input"),
        ("detail", "the model failed with an error"),
    ];
    let judged: Vec<_> = events
        .iter()
        .filter(|event| event.contains_key("by"))
        .collect();
    assert_eq!(judged.len(), 1, "{events:?}");
    assert_fields(judged[0], &expected);
}

#[tokio::test]
async fn unprobed_version_is_a_warning_with_advice() {
    let _clock = ManualClock::start();
    let (capture, _guard) = Capture::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    faulty.set(Behaviour::Error);
    let builder = Server::builder(models.root()).config(config());
    let builder = builder.executor(Inline).runtime(faulty.runtime());
    let (_server, _client) = start(builder).await;
    let events = capture.take(Level::WARN);
    assert_eq!(events.len(), 1, "{events:?}");
    let advice = "add a probe: clarity probe cole_kripke request.json";
    assert_fields(
        &events[0],
        &[
            ("message", "model version unprobed"),
            ("model", "cole_kripke"),
            ("version", "1"),
            ("advice", advice),
        ],
    );
    assert!(
        events[0]["detail"].contains("an injected error"),
        "{events:?}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn vetting_is_one_event_with_its_duration() {
    let _clock = ManualClock::start();
    let (capture, _guard) = Capture::start();
    let models = Repository::temporary_with_model();
    let limits = clarity::VettingLimits::default();
    let vetting = clarity::Vetting::child(crate::CLARITY, &["vet"], limits);
    let builder = Server::builder(models.root()).config(config());
    let (_server, _client) = start(builder.executor(Inline).vetting(vetting)).await;
    let events = capture.take(Level::INFO);
    let vetted = |event: &&Fields| event["message"] == "model version vetted";
    let event = events.iter().find(vetted).unwrap();
    assert_fields(event, &[("model", "cole_kripke"), ("trial", "warmed up")]);
    assert!(event["seconds"].parse::<f64>().unwrap() > 0.0, "{event:?}");
}
