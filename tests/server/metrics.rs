//! The metrics count each event exactly once.

use std::fs;

use clarity::Server;
use clarity_testbed::*;

#[tokio::test]
async fn loads_and_verifications_are_counted_and_timed() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
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
    let (load, verification) = (
        count("model_load_duration_seconds_sum"),
        count("checksum_verification_duration_seconds_sum"),
    );
    assert!(
        verification > 0.0 && load >= verification,
        "{load} s, of which {verification} s verify"
    );
    assert_eq!(
        (
            count("checksum_verification_failures_total"),
            failures("model_corrupt")
        ),
        (0.0, 0.0)
    );
    let digest = cole_kripke::DIGEST;
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
        "no digest was compared"
    );

    client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(count("prediction_success_total"), 1.0);
    assert_eq!(count("prediction_duration_seconds_count"), 1.0);
}

#[tokio::test]
async fn prediction_is_counted_once_by_its_outcome() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.flip_bit("1/model.onnx", 0);
    let (server, client) = serve(&models).await;
    for _ in 0..3 {
        client.post(INFER, &short_request()).await.unwrap();
    }
    models.flip_bit("1/model.onnx", 0);
    server.models().reload("cole_kripke").await.unwrap();
    client.post(INFER, &short_request()).await.unwrap();
    client.post_text(INFER, "x").await.unwrap();
    client
        .post("/v2/models/cole_kripke/versions/9/infer", &short_request())
        .await
        .unwrap();
    client
        .post("/v2/models/nope/infer", &short_request())
        .await
        .unwrap();
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
    assert!(!text.contains("nope"), "a client has added a series");
}

#[tokio::test]
async fn servers_share_no_metric() {
    let (first, client) = serve(&Repository::temporary_with_model()).await;
    let (second, _client) = serve(&Repository::temporary_with_model()).await;
    client.post(INFER, &short_request()).await.unwrap();
    let series = r#"prediction_success_total{model="cole_kripke"}"#;
    assert_eq!(
        (metric(&first, series), metric(&second, series)),
        (1.0, 0.0)
    );
}

/// An outcome that arrives after its breaker changed state is counted as late, with no other
/// effect.
#[tokio::test]
async fn late_outcome_of_a_breaker_is_counted() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let builder = Server::builder(models.root()).config(config());
    let (server, client) = start(builder.runtime(faulty.runtime())).await;
    let late = || {
        metric(
            &server,
            r#"circuit_breaker_late_outcomes_total{model="cole_kripke"}"#,
        )
    };
    assert_eq!(late(), 0.0);
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let asked = tokio::spawn(async move { client.post(INFER, &short_request()).await.unwrap() });
    faulty.until_runs(runs + 1).await;
    let breaker = server.models().breaker_handle("cole_kripke").unwrap();
    breaker.disable();
    breaker.release();
    faulty.release();
    assert_eq!(asked.await.unwrap().body, SHORT_ANSWER);
    assert_eq!(late(), 1.0);
}

/// Prometheus defines the names and units of a process's metrics.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn process_metrics_are_positive() {
    let models = Repository::temporary_with_model();
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
