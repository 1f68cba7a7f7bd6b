//! What is counted, and how often.

use std::fs;

use clarity::Server;

use crate::support::faulty::{Faulty, Mood};
use crate::support::*;

#[tokio::test]
async fn loads_and_verifications_are_counted_and_timed_good_or_bad() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    let (server, client) = serve(&models).await;
    let count = |name: &str| metric(&server, &format!(r#"{name}{{model="cole_kripke"}}"#));
    let failures = |reason: &str| {
        metric(
            &server,
            &format!(r#"model_load_failures_total{{model="cole_kripke",reason="{reason}"}}"#),
        )
    };
    assert_eq!(count("model_load_duration_seconds_count"), 1.0);
    assert_eq!(count("checksum_verification_duration_seconds_count"), 1.0);
    assert!(
        count("model_load_duration_seconds_sum")
            >= count("checksum_verification_duration_seconds_sum")
    );
    assert_eq!(
        (
            count("checksum_verification_failures_total"),
            failures("model_corrupt")
        ),
        (0.0, 0.0)
    );
    let digest = "837b04d3e20336de76fb7662e31a2595cb46ef02de323a8d3b2b374b16b06003";
    assert_eq!(
        metric(
            &server,
            &format!(r#"model_version_info{{model="cole_kripke",version="1",digest="{digest}"}}"#)
        ),
        1.0
    );

    models.flip_bit("1/model.onnx", 0);
    server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(count("model_load_duration_seconds_count"), 2.0);
    assert_eq!(
        (
            count("checksum_verification_failures_total"),
            failures("model_corrupt")
        ),
        (1.0, 1.0)
    );

    fs::remove_file(models.path("1/manifest.json")).unwrap();
    server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(
        (
            count("checksum_verification_failures_total"),
            failures("unverified")
        ),
        (1.0, 1.0),
        "nothing was compared"
    );

    client.post(INFER, &short_request()).await;
    assert_eq!(count("prediction_success_total"), 1.0);
    assert_eq!(count("prediction_duration_seconds_count"), 1.0);
}

#[tokio::test]
async fn a_request_is_counted_once_as_answered_or_by_its_reason() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    models.flip_bit("1/model.onnx", 0);
    let (server, client) = serve(&models).await;
    for _ in 0..3 {
        client.post(INFER, &short_request()).await;
    }
    models.flip_bit("1/model.onnx", 0);
    server.models().reload("cole_kripke").await.unwrap();
    client.post(INFER, &short_request()).await;
    client.post_text(INFER, "x").await;
    client
        .post("/v2/models/cole_kripke/versions/9/infer", &short_request())
        .await;
    client.post("/v2/models/nope/infer", &short_request()).await;
    let text = server.metrics().render();
    let failures: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("prediction_failure_total") && !line.ends_with(" 0"))
        .collect();
    let mut expected = [
        ("model_corrupt", 3),
        ("invalid_request", 1),
        ("unknown_version", 1),
    ]
    .map(|(reason, count)| {
        format!(r#"prediction_failure_total{{model="cole_kripke",reason="{reason}"}} {count}"#)
    });
    let mut failures: Vec<String> = failures.into_iter().map(str::to_owned).collect();
    failures.sort();
    expected.sort();
    assert_eq!(failures, expected);
    assert!(!text.contains("nope"), "a client cannot make up series");
}

#[tokio::test]
async fn two_servers_share_no_metric() {
    let (first, client) = serve(&Models::cole_kripke()).await;
    let (second, _client) = serve(&Models::cole_kripke()).await;
    client.post(INFER, &short_request()).await;
    let series = r#"prediction_success_total{model="cole_kripke"}"#;
    assert_eq!(
        (metric(&first, series), metric(&second, series)),
        (1.0, 0.0)
    );
}

/// An outcome that comes when its breaker is in another state changes nothing, and is seen all the same.
#[tokio::test]
async fn late_outcomes_of_a_breaker_are_counted() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Models::cole_kripke(), Faulty::new());
    let builder = Server::builder(models.root()).config(config());
    let (server, client) = start(builder.runtime(faulty.runtime())).await;
    let late = || {
        metric(
            &server,
            r#"circuit_breaker_late_outcomes_total{model="cole_kripke"}"#,
        )
    };
    assert_eq!(late(), 0.0);
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let asked = tokio::spawn(async move { client.post(INFER, &short_request()).await });
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    let breaker = server.models().breaker_handle("cole_kripke").unwrap();
    breaker.disable();
    breaker.release();
    faulty.release();
    assert_eq!(asked.await.unwrap().body, SHORT_ANSWER);
    assert_eq!(late(), 1.0);
}

/// What Prometheus asks of every program: the names are fixed, and so are their units.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_process_tells_what_it_takes() {
    let models = Models::cole_kripke();
    let (server, _client) = serve(&models).await;
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
    ] {
        assert!(metric(&server, name) > 0.0, "{name}");
    }
}
