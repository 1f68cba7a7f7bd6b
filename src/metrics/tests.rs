use std::time::Duration;

use super::*;
use crate::{BreakerState, Digest, Reason, RuntimeId, Version};

fn value(text: &str, series: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

#[test]
fn model_series_begin_all_at_once() {
    let metrics = Metrics::new();
    let model = metrics.for_model(&"m".parse().unwrap());
    let lines = |text: &str| text.lines().filter(|line| line.contains(r#""m""#)).count();
    assert_eq!(lines(&metrics.render()), 0);
    model.begin();
    let text = metrics.render();
    for series in [
        r#"prediction_success_total{model="m"}"#,
        r#"prediction_failure_total{model="m",reason="circuit_open"}"#,
        r#"prediction_left_queue_total{model="m",reason="overloaded"}"#,
        r#"prediction_left_queue_total{model="m",reason="cancelled"}"#,
        r#"prediction_duration_seconds_count{model="m"}"#,
        r#"circuit_breaker_state{model="m",state="open"}"#,
        r#"circuit_breaker_transitions_total{model="m",from="closed",to="open"}"#,
        r#"circuit_breaker_rejected_total{model="m"}"#,
        r#"circuit_breaker_judging_runs_total{model="m",outcome="failed"}"#,
        r#"model_load_duration_seconds_count{model="m"}"#,
        r#"model_load_failures_total{model="m",reason="model_corrupt"}"#,
        r#"checksum_verification_duration_seconds_count{model="m"}"#,
        r#"checksum_verification_failures_total{model="m"}"#,
        "requests_shed_total",
    ] {
        assert_eq!(value(&text, series), Some(0.0), "{series} in:\n{text}");
    }
    assert_eq!(
        value(&text, r#"circuit_breaker_state{model="m",state="closed"}"#),
        Some(1.0)
    );
}

#[test]
fn every_reason_of_predictions_and_loads_is_counted() {
    let metrics = Metrics::new();
    let model = metrics.for_model(&"m".parse().unwrap());
    for &reason in Reason::OF_PREDICTIONS {
        model.prediction_failed(reason);
    }
    for &reason in Reason::OF_LOADS {
        model.load_failed(reason);
    }
    let text = metrics.render();
    for (name, reasons) in [
        ("prediction_failure", Reason::OF_PREDICTIONS),
        ("model_load_failures", Reason::OF_LOADS),
    ] {
        for reason in reasons {
            assert_eq!(
                value(
                    &text,
                    &format!(r#"{name}_total{{model="m",reason="{reason}"}}"#)
                ),
                Some(1.0)
            );
        }
    }
    assert_eq!(
        value(&text, r#"circuit_breaker_rejected_total{model="m"}"#),
        Some(1.0)
    );
    assert_eq!(value(&text, "requests_shed_total"), Some(1.0));
}

#[test]
fn breaker_state_series_has_exactly_one_set() {
    let metrics = Metrics::new();
    let model = metrics.for_model(&"m".parse().unwrap());
    model.breaker_changed(BreakerState::Closed, BreakerState::Open);
    let text = metrics.render();
    let states = BreakerState::ALL.map(|state| {
        value(
            &text,
            &format!(r#"circuit_breaker_state{{model="m",state="{state}"}}"#),
        )
    });
    assert_eq!(states, [0.0, 1.0, 0.0, 0.0, 0.0].map(Some));
    assert_eq!(
        value(
            &text,
            r#"circuit_breaker_transitions_total{model="m",from="closed",to="open"}"#
        ),
        Some(1.0)
    );
}

#[test]
fn version_info_has_only_the_serving_version() {
    let metrics = Metrics::new();
    let model = metrics.for_model(&"m".parse().unwrap());
    let [first, second] = ["rten", "other"].map(|name| RuntimeId::new(name, "1.2"));
    model.now_serving(Version::FIRST, Digest::of(b"a"), &first);
    model.now_serving(Version::new(2).unwrap(), Digest::of(b"b"), &second);
    let series = || -> Vec<String> {
        let text = metrics.render();
        let is_info = |line: &&str| {
            !line.starts_with('#') && line.split('{').next().unwrap().ends_with("_info")
        };
        text.lines().filter(is_info).map(str::to_owned).collect()
    };
    let digest = Digest::of(b"b");
    assert_eq!(
        series(),
        [
            format!(r#"model_version_info{{model="m",version="2",digest="{digest}"}} 1"#),
            r#"model_runtime_info{model="m",version="2",runtime="other",runtime_version="1.2"} 1"#
                .to_owned(),
        ]
    );
    model.stopped_serving();
    assert!(series().is_empty());
}

/// A model that loads without a fault and was never asked has no other series.
#[test]
fn model_that_was_not_asked_has_only_its_version() {
    let metrics = Metrics::new();
    let model = metrics.for_model(&"m".parse().unwrap());
    model.verification_took(Duration::from_millis(1));
    model.load_took(Duration::from_millis(2));
    model.now_arriving(0);
    let runtime = RuntimeId::new("rten", "1.2");
    model.now_serving(Version::FIRST, Digest::of(b"a"), &runtime);
    model.serving_unprobed(false);
    let text = metrics.render();
    let series: Vec<_> = text
        .lines()
        .filter(|line| line.contains(r#""m""#))
        .collect();
    assert_eq!(series.len(), 2, "{series:#?}");
    assert!(
        series.iter().all(|line| line.contains("_info{")),
        "{series:#?}"
    );

    model.prediction_succeeded();
    model.load_took(Duration::from_millis(4));
    let text = metrics.render();
    for (series, expected) in [
        ("model_load_duration_seconds_count", 2.0),
        ("model_load_duration_seconds_sum", 0.006),
        ("checksum_verification_duration_seconds_count", 1.0),
        ("prediction_success_total", 1.0),
        ("prediction_duration_seconds_count", 0.0),
    ] {
        let found = value(&text, &format!(r#"{series}{{model="m"}}"#));
        assert_eq!(found, Some(expected), "{series}");
    }
}

#[test]
fn events_worth_a_look_begin_the_series() {
    type Event = fn(&ModelMetrics);
    let events: [Event; 6] = [
        |model| model.load_failed(Reason::ModelCorrupt),
        |model| model.serving_unprobed(true),
        |model| model.now_arriving(1),
        |model| model.manifest_changed(),
        |model| model.breaker_changed(BreakerState::Closed, BreakerState::Open),
        |model| (0..9).for_each(|_| model.load_took(Duration::ZERO)),
    ];
    for (number, event) in events.into_iter().enumerate() {
        let metrics = Metrics::new();
        let model = metrics.for_model(&"m".parse().unwrap());
        event(&model);
        let series = r#"prediction_success_total{model="m"}"#;
        assert_eq!(
            value(&metrics.render(), series),
            Some(0.0),
            "event {number}"
        );
    }
}
