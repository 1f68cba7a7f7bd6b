//! The scrub finds damage on disk in the background.

use std::num::NonZeroU64;
use std::time::Duration;

use clarity::{Config, Inline, QuarantineCause, Reason, VersionStatus};
use clarity_testbed::*;

const FAILURES: &str = r#"scrub_failures_total{model="cole_kripke"}"#;

/// A configuration that polls every 1000 s, so only the scrub reads files between polls.
fn scrubbing(rate: u64) -> Config {
    let mut config = config();
    config.reload.poll = Duration::from_secs(1000);
    config.scrub.rate = NonZeroU64::new(rate);
    config.scrub.pause = Duration::from_secs(10);
    config
}

fn cause(models: &Repository, number: u64) -> Option<QuarantineCause> {
    let held = models
        .store
        .quarantined(&"cole_kripke".parse().unwrap(), version(number));
    held.map(|held| held.cause())
}

#[tokio::test]
async fn rot_is_counted_while_the_loaded_version_answers() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.publish("cole_kripke", MODEL_BYTES);
    let (server, client) = serve_with(&models, scrubbing(1 << 30), Inline).await;
    let mut watch = server.models().watch("cole_kripke").unwrap();
    let before = client.post(INFER, &short_request()).await.unwrap();
    before.assert_served_by(2, false);
    // Damages the version that answers, and one on standby.
    models.flip_bit("1/model.onnx", 77);
    models.flip_bit("2/model.onnx", 99);
    clock.run_out(10.0).await;
    until_some("two failures", async || {
        clock.run_out(0.01).await;
        (metric(&server, FAILURES) >= 2.0).then_some(())
    })
    .await;
    for number in [1, 2] {
        assert_eq!(cause(&models, number), Some(QuarantineCause::Corrupt));
    }
    clock.run_out(1000.0).await;
    let status = within("a status", watch.wait_for(|now| now.degraded.is_some())).await;
    assert_eq!(status.serving.unwrap().0, version(2));
    assert_eq!(status.degraded, Some(Reason::ModelCorrupt));
    assert!(matches!(
        status.versions[&version(1)],
        VersionStatus::Refused { .. }
    ));
    let after = client.post(INFER, &short_request()).await.unwrap();
    after.assert_served_by(2, true);
    assert_eq!(before.json()["outputs"], after.json()["outputs"]);
    // Each damaged version is counted once, since the scrub does not read quarantined versions
    // again.
    let rounds = metric(&server, "scrub_rounds_total");
    until_some("two more rounds", async || {
        clock.run_out(1.0).await;
        (metric(&server, "scrub_rounds_total") >= rounds + 2.0).then_some(())
    })
    .await;
    assert_eq!(metric(&server, FAILURES), 2.0);
}

/// The scrub reads 473 bytes at 100 bytes a second: in steps of 100 bytes, for 4.73 s.
#[tokio::test]
async fn scrub_reads_no_faster_than_its_rate() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let (server, _client) = serve_with(&models, scrubbing(100), Inline).await;
    let read = || metric(&server, "scrub_read_bytes_total");
    let settle = async || {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    settle().await;
    assert_eq!(read(), 0.0, "a loaded version was read again at once");
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
async fn missing_file_is_counted_and_not_quarantined() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let (server, _client) = serve_with(&models, scrubbing(1 << 30), Inline).await;
    std::fs::remove_file(models.path("1/model.onnx")).unwrap();
    clock.run_out(10.0).await;
    until("a failure", || metric(&server, FAILURES) >= 1.0).await;
    assert_eq!(cause(&models, 1), None);
}
