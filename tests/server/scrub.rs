//! Rot on disk, found in the background.

use std::num::NonZeroU64;
use std::time::Duration;

use clarity::{Config, Inline, QuarantineCause, Reason, VersionStatus};

use crate::support::*;

const FAILURES: &str = r#"scrub_failures_total{model="cole_kripke"}"#;

/// Polls only every 1000 s, so that nothing but the scrub looks at files in between.
fn scrubbing(rate: u64) -> Config {
    let mut config = config();
    config.reload.poll = Duration::from_secs(1000);
    config.scrub.rate = NonZeroU64::new(rate);
    config.scrub.pause = Duration::from_secs(10);
    config
}

fn cause(models: &Models, number: u64) -> Option<QuarantineCause> {
    let held = models
        .store
        .quarantined(&"cole_kripke".parse().unwrap(), version(number));
    held.map(|held| held.cause())
}

#[tokio::test]
async fn rot_is_found_and_told_while_the_good_copy_goes_on_answering() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    models.publish("cole_kripke", COLE_KRIPKE);
    let (server, client) = serve_with(&models, scrubbing(1 << 30), Inline).await;
    let mut watch = server.models().watch("cole_kripke").unwrap();
    let before = client.post(INFER, &short_request()).await.json();
    // Of the version that answers, and of one that nobody would have looked at before it was needed.
    models.flip_bit("1/model.onnx", 77);
    models.flip_bit("2/model.onnx", 99);
    clock.run_out(10.0).await;
    while metric(&server, FAILURES) < 2.0 {
        clock.run_out(0.01).await;
        tokio::task::yield_now().await;
    }
    for number in [1, 2] {
        assert_eq!(cause(&models, number), Some(QuarantineCause::Corrupt));
    }
    clock.run_out(1000.0).await;
    let status = watch.wait_for(|now| now.degraded.is_some()).await;
    assert_eq!(status.serving.unwrap().0, version(2));
    assert_eq!(status.degraded, Some(Reason::ModelCorrupt));
    assert!(matches!(
        status.versions[&version(1)],
        VersionStatus::Refused { .. }
    ));
    let after = client.post(INFER, &short_request()).await.json();
    assert_eq!(before["outputs"], after["outputs"]);
    // Told once: what is held back is not read again.
    let rounds = metric(&server, "scrub_rounds_total");
    while metric(&server, "scrub_rounds_total") < rounds + 2.0 {
        clock.run_out(1.0).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(metric(&server, FAILURES), 2.0);
}

/// 473 bytes at 100 bytes a second: in steps of 100 bytes, and not before 4.73 s have gone by.
#[tokio::test]
async fn a_scrub_reads_no_faster_than_it_may() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    let (server, _client) = serve_with(&models, scrubbing(100), Inline).await;
    let read = || metric(&server, "scrub_read_bytes_total");
    let settle = async || {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    settle().await;
    assert_eq!(
        read(),
        0.0,
        "what was just loaded is not read again at once"
    );
    clock.run_out(10.0).await;
    settle().await;
    for second in 1..=4 {
        assert_eq!(read(), f64::from(100 * second));
        clock.run_out(1.0).await;
        settle().await;
    }
    assert_eq!(
        (read(), metric(&server, "scrub_rounds_total")),
        (473.0, 0.0)
    );
    clock.run_out(0.73).await;
    settle().await;
    assert_eq!(
        (read(), metric(&server, "scrub_rounds_total")),
        (473.0, 1.0)
    );
    assert_eq!(metric(&server, FAILURES), 0.0);
}

#[tokio::test]
async fn what_is_only_away_is_told_and_not_held_back() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    let (server, _client) = serve_with(&models, scrubbing(1 << 30), Inline).await;
    std::fs::remove_file(models.path("1/model.onnx")).unwrap();
    clock.run_out(10.0).await;
    while metric(&server, FAILURES) < 1.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(cause(&models, 1), None);
}
