//! Each failure appears once in the metrics and once in the log.

use clarity::BreakerConfig;
use clarity_chaos::fault::BitFlip;
use clarity_chaos::{Context, EventKind, Result, chaos};
use clarity_testbed::cole_kripke::OVERWHELMING;
use clarity_testbed::{Behaviour, FaultSwitch, MODEL, Repository, Served};
use std::collections::BTreeMap;

/// Some predictions succeed, some fail, and an open breaker rejects some. The metrics must count
/// exactly these events.
#[chaos(metrics, non_destructive, clock = "manual")]
async fn metrics_count_exactly_what_happened(cx: Context) -> Result {
    let repository = Repository::empty(&cx)?;
    repository.publish_scaled(MODEL, 4.0)?;
    let faulty = FaultSwitch::new();
    let served = Served::start_faulty(&cx, &repository, BreakerConfig::default(), &faulty).await?;
    for (behaviour, times) in [
        (Behaviour::Normal, 3),
        (Behaviour::NotFinite, 5),
        (Behaviour::Normal, 2),
    ] {
        faulty.set(behaviour);
        for _ in 0..times {
            served.client.infer(MODEL, &[1.0; 10]).await?;
        }
    }
    let model = format!("model=\"{MODEL}\"");
    for (series, expected) in [
        (format!("prediction_success_total{{{model}}}"), 3.0),
        (
            format!("prediction_failure_total{{{model},reason=\"inference_failed\"}}"),
            5.0,
        ),
        (
            format!("prediction_failure_total{{{model},reason=\"circuit_open\"}}"),
            2.0,
        ),
        (
            format!("prediction_failure_total{{{model},reason=\"overloaded\"}}"),
            0.0,
        ),
        (format!("circuit_breaker_rejected_total{{{model}}}"), 2.0),
        (
            format!("circuit_breaker_judging_runs_total{{{model},outcome=\"failed\"}}"),
            1.0,
        ),
        (
            format!("circuit_breaker_state{{{model},state=\"open\"}}"),
            1.0,
        ),
        (
            format!("circuit_breaker_state{{{model},state=\"closed\"}}"),
            0.0,
        ),
        (
            format!("circuit_breaker_transitions_total{{{model},from=\"closed\",to=\"open\"}}"),
            1.0,
        ),
        (
            format!("checksum_verification_failures_total{{{model}}}"),
            0.0,
        ),
    ] {
        assert_eq!(served.client.metric(&series).await?, expected, "{series}");
    }
    served.shut_down().await
}

/// A damaged version is deployed after a good one. The metrics must count the failed load under its
/// reason, and name the served version.
#[chaos(metrics, non_destructive, clock = "manual")]
async fn a_failed_load_is_counted_by_its_reason(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    repository.publish_scaled(MODEL, 2.0)?;
    cx.inject(BitFlip::new(repository.weights(MODEL, 2)))?
        .until_end();
    served.reload(MODEL).await?;

    let series = format!("model_load_failures_total{{model=\"{MODEL}\",reason=\"model_corrupt\"}}");
    assert!(served.client.metric(&series).await? >= 1.0);
    let series = format!("model_load_failures_total{{model=\"{MODEL}\",reason=\"model_missing\"}}");
    assert_eq!(served.client.metric(&series).await?, 0.0);
    let metrics = served.client.get("/metrics").await?.body;
    let info = metrics
        .lines()
        .filter(|line| line.starts_with("model_version_info{"));
    let info: Vec<_> = info.filter(|line| line.ends_with(" 1")).collect();
    assert_eq!(info.len(), 1, "{info:?}");
    assert!(info[0].contains("version=\"1\""), "{info:?}");
    served.shut_down().await
}

/// Returns the fields of each warning and error that the server has logged so far.
fn failures(cx: &Context) -> Vec<BTreeMap<String, String>> {
    let failure = |what| match what {
        EventKind::Log {
            level,
            target,
            fields,
            ..
        } if (level == "WARN" || level == "ERROR") && target.starts_with("clarity") => Some(fields),
        _ => None,
    };
    cx.timeline()
        .into_iter()
        .filter_map(|event| failure(event.kind))
        .collect()
}

/// A damaged version is found. Exactly one log event must report it, with model, version and reason
/// as fields.
#[chaos(logs, non_destructive, clock = "manual")]
async fn a_damaged_version_is_logged_once_with_its_fields(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    assert_eq!(failures(&cx), [], "an event before the first failure");

    repository.publish_scaled(MODEL, 2.0)?;
    cx.inject(BitFlip::new(repository.weights(MODEL, 2)))?
        .until_end();
    served.reload(MODEL).await?;
    let events = failures(&cx);
    assert_eq!(events.len(), 1, "{events:?}");
    for (field, expected) in [
        ("model", MODEL),
        ("version", "2"),
        ("reason", "model_corrupt"),
    ] {
        assert_eq!(
            events[0].get(field).map(String::as_str),
            Some(expected),
            "{events:?}"
        );
    }
    served.shut_down().await
}

/// A model fails on five requests, and its breaker opens. Each failure must be logged once, with
/// the same reason as in the client's answer.
#[chaos(logs, non_destructive, clock = "manual")]
async fn each_failed_inference_is_one_event(cx: Context) -> Result {
    let repository = Repository::empty(&cx)?;
    repository.publish_scaled(MODEL, 4.0)?;
    let served = Served::start(&cx, &repository).await?;
    for failures_so_far in 1..=5 {
        let answer = served.client.infer(MODEL, &OVERWHELMING).await?;
        let events = failures(&cx);
        let events: Vec<_> = events
            .iter()
            .filter(|fields| {
                fields
                    .get("reason")
                    .is_some_and(|reason| reason == "inference_failed")
            })
            .collect();
        assert_eq!(events.len(), failures_so_far, "{events:?}");
        let last = events[failures_so_far - 1];
        assert_eq!(last["model"], MODEL);
        assert_eq!(last["version"], "1");
        assert_eq!(last["reason"], answer.member("reason")?);
    }
    served.shut_down().await
}
