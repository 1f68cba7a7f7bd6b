//! Damaged models must not slow healthy ones down.

use clarity::JobKind;
use clarity_chaos::fault::BitFlip;
use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::{MODEL, Repository, Served, cole_kripke};

/// A good and a damaged model are loaded. The metrics must contain the durations of loading and of
/// verification for both models.
#[chaos(performance, non_destructive, clock = "manual")]
async fn loads_and_verifications_are_measured_good_or_bad(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    repository.publish_scaled("damaged", 2.0)?;
    cx.inject(BitFlip::new(repository.weights("damaged", 1)))?
        .until_end();
    let served = Served::start(&cx, &repository).await?;
    for model in [MODEL, "damaged"] {
        for metric in [
            "model_load_duration_seconds",
            "checksum_verification_duration_seconds",
        ] {
            let count = served
                .client
                .metric(&format!("{metric}_count{{model=\"{model}\"}}"))
                .await?;
            let sum = served
                .client
                .metric(&format!("{metric}_sum{{model=\"{model}\"}}"))
                .await?;
            assert!(count >= 1.0, "{metric} of {model}: {count} measurements");
            assert!(sum > 0.0, "{metric} of {model}: {sum} s");
        }
    }
    let failures = async |model| {
        let series = format!("checksum_verification_failures_total{{model=\"{model}\"}}");
        served.client.metric(&series).await
    };
    assert_eq!(failures(MODEL).await?, 0.0);
    assert!(failures("damaged").await? >= 1.0);
    served.shut_down().await
}

/// The load of a damaged model hangs. A healthy model must still answer every request, and must run
/// once for each request.
#[chaos(performance, non_destructive, clock = "manual")]
async fn a_healthy_model_is_not_delayed_by_anothers_loads(cx: Context) -> Result {
    const REQUESTS: usize = 50;
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    repository.publish_scaled("damaged", 2.0)?;
    cx.inject(BitFlip::new(repository.weights("damaged", 1)))?
        .until_end();

    served.executor.hold(JobKind::Load, "damaged");
    let loading = served.reload_in_background("damaged");
    let held = served.executor.until_held(1).await;
    cx.note(format!("{held} load is held"));
    let mut rng = cx.rng();
    for _ in 0..REQUESTS {
        let activity = cole_kripke::activity(30, &mut rng);
        let answer = served.client.infer(MODEL, &activity).await?;
        cole_kripke::assert_right(&answer, &activity, 1.0)?;
    }
    assert_eq!(
        served.inferences(MODEL),
        REQUESTS,
        "not one run for each request"
    );
    assert!(!loading.is_finished(), "the load did not hang all the time");

    served.executor.release();
    loading.await?;
    let refused = served.client.infer("damaged", &[1.0; 10]).await?;
    refused.assert_unavailable("model_corrupt");
    served.shut_down().await
}
