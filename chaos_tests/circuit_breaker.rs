//! A model that fails on valid requests: stop asking it, ask again later, carefully.
//!
//! The model that fails here is a real one: with weights four times the published ones, activity counts near the end of single precision
//! overflow, and an answer that is not finite is a failure of the model.

use crate::support::{Client, MODEL, Repository, Served, cole_kripke, read_answer};
use clarity::{BreakerConfig, BreakerRate, BreakerState, BreakerTrip, BreakerWindow, JobKind};
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// The model whose sums overflow on [`OVERWHELMING`].
const FRAGILE: &str = "fragile";
const SCALE: f32 = 4.0;
/// Valid activity counts that the model cannot answer.
const OVERWHELMING: [f32; 10] = [3e38; 10];

/// From the platform: so many failures in a row open the breaker.
const FAILURES: usize = 5;
/// From the platform: so long it stays open.
const OPEN: Duration = Duration::from_secs(60);

async fn fragile(cx: &Context) -> Result<Served> {
    fragile_with(cx, BreakerConfig::default()).await
}

async fn fragile_with(cx: &Context, breaker: BreakerConfig) -> Result<Served> {
    let repository = Repository::empty(cx)?;
    repository.publish_scaled(FRAGILE, SCALE)?;
    Served::start_with_breaker(cx, &repository, breaker).await
}

async fn fail(served: &Served, times: usize) -> Result {
    for _ in 0..times {
        let answer = served.client.infer(FRAGILE, &OVERWHELMING).await?;
        assert_eq!(answer.status, 503, "{}", answer.text);
        assert_eq!(answer.member("reason")?, "inference_failed");
    }
    Ok(())
}

async fn succeed(served: &Served, cx: &Context) -> Result {
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(FRAGILE, &activity).await?;
    cole_kripke::assert_right(&answer, &activity, SCALE)?;
    Ok(())
}

/// That the breaker is open, and for how many seconds.
async fn assert_open(served: &Served) -> Result<u64> {
    let called = served.inferences(FRAGILE);
    // A request that the model could answer well: it must not even be asked.
    let answer = served.client.infer(FRAGILE, &[1.0; 10]).await?;
    let seconds = answer.assert_unavailable("circuit_open");
    assert_eq!(served.inferences(FRAGILE), called, "the model was called");
    Ok(seconds)
}

/// A model fails five times in a row. The fifth failure, and none before, must open its breaker, and from then on the model is not called.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn it_opens_at_exactly_the_fifth_failure(cx: Context) -> Result {
    let served = fragile(&cx).await?;
    for failures in 1..=FAILURES {
        fail(&served, 1).await?;
        assert_eq!(
            served.inferences(FRAGILE),
            failures,
            "each of the first five is asked of the model"
        );
    }
    assert_eq!(assert_open(&served).await?, OPEN.as_secs());
    served.shut_down().await
}

/// Four failures, a success, four failures: they were not five in a row, so the model must go on being asked.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn a_success_starts_the_count_anew(cx: Context) -> Result {
    let served = fragile(&cx).await?;
    fail(&served, FAILURES - 1).await?;
    succeed(&served, &cx).await?;
    fail(&served, FAILURES - 1).await?;
    succeed(&served, &cx).await?;
    fail(&served, FAILURES).await?;
    assert_open(&served).await?;
    served.shut_down().await
}

/// The open time passes. Before its end nothing may be asked of the model, at its end one request, and its success closes the breaker.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn after_60_seconds_a_good_probe_closes_it(cx: Context) -> Result {
    let served = fragile(&cx).await?;
    fail(&served, FAILURES).await?;
    cx.clock().advance(OPEN - Duration::from_secs(1)).await;
    assert_eq!(assert_open(&served).await?, 1);
    cx.clock().advance(Duration::from_secs(1)).await;
    succeed(&served, &cx).await?;
    // Closed, and counting from nothing.
    fail(&served, FAILURES - 1).await?;
    succeed(&served, &cx).await?;
    served.shut_down().await
}

/// The open time passes and the model still fails. One failed probe must open the breaker for another whole time.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn after_60_seconds_a_bad_probe_opens_it_again(cx: Context) -> Result {
    let served = fragile(&cx).await?;
    fail(&served, FAILURES).await?;
    for _ in 0..3 {
        cx.clock().advance(OPEN).await;
        fail(&served, 1).await?;
        assert_eq!(assert_open(&served).await?, OPEN.as_secs());
    }
    cx.clock().advance(OPEN).await;
    succeed(&served, &cx).await?;
    served.shut_down().await
}

/// A model fails on some requests and answers others, in a random order, and its breaker looks at the last ten. It must open with the very failure that
/// makes five of them, and with no other.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn a_window_of_calls_opens_it_at_exactly_half(cx: Context) -> Result {
    let mut rate = BreakerRate::default();
    rate.window = BreakerWindow::Calls(10);
    rate.minimum_calls = 10;
    let mut breaker = BreakerConfig::default();
    breaker.trip = BreakerTrip::Rate(rate);
    let served = fragile_with(&cx, breaker).await?;
    let mut rng = cx.rng();
    let mut failed = Vec::new();
    loop {
        failed.push(rng.random_bool(0.4));
        match failed.last() {
            Some(true) => fail(&served, 1).await?,
            _ => succeed(&served, &cx).await?,
        }
        let window = failed.iter().rev().take(10);
        let failures = window.filter(|failed| **failed).count();
        if failed.len() >= 10 && failures >= 5 && failed.last() == Some(&true) {
            break;
        }
        assert_eq!(
            served.inferences(FRAGILE),
            failed.len(),
            "it opened early: {failed:?}"
        );
    }
    assert_eq!(assert_open(&served).await?, OPEN.as_secs(), "{failed:?}");
    served.shut_down().await
}

/// A model fails for a long time, and its breaker may stay open for longer each time. It must be asked less and less often, and be forgiven everything
/// as soon as it answers.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn open_times_grow_while_the_model_goes_on_failing(cx: Context) -> Result {
    let mut breaker = BreakerConfig::default();
    breaker.open_most = 4 * OPEN;
    let served = fragile_with(&cx, breaker).await?;
    fail(&served, FAILURES).await?;
    for times in [1, 2, 4, 4] {
        assert_eq!(assert_open(&served).await?, times * OPEN.as_secs());
        cx.clock().advance(OPEN * times as u32).await;
        fail(&served, 1).await?;
    }
    cx.clock().advance(4 * OPEN).await;
    succeed(&served, &cx).await?;
    fail(&served, FAILURES).await?;
    assert_eq!(assert_open(&served).await?, OPEN.as_secs());
    served.shut_down().await
}

/// One model's breaker is open. Another model must be answered as always.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn an_open_breaker_leaves_other_models_alone(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    repository.publish_scaled(FRAGILE, SCALE)?;
    let served = Served::start(&cx, &repository).await?;
    fail(&served, FAILURES).await?;
    assert_open(&served).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served
        .client
        .infer(crate::support::MODEL, &activity)
        .await?;
    cole_kripke::assert_right(&answer, &activity, 1.0)?;
    served.shut_down().await
}

/// Clients send requests that no model could answer: wrong names, shapes and types. That is not the model's failure, and must not open its breaker.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn bad_requests_are_not_failures_of_the_model(cx: Context) -> Result {
    let served = fragile(&cx).await?;
    let bad = [
        serde_json::json!({}),
        serde_json::json!({ "inputs": [] }),
        serde_json::json!({ "inputs": [{ "name": "activity", "shape": [1, 3], "datatype": "FP32", "data": [1.0] }] }),
        serde_json::json!({ "inputs": [{ "name": "pulse", "shape": [1, 1], "datatype": "FP32", "data": [1.0] }] }),
        serde_json::json!({ "inputs": [{ "name": "activity", "shape": [1, 1], "datatype": "INT64", "data": [1] }] }),
    ];
    for request in bad.iter().cycle().take(4 * FAILURES) {
        let answer = served
            .client
            .post(&format!("/v2/models/{FRAGILE}/infer"), request)
            .await?;
        assert_eq!(answer.status, 400, "{request}: {}", answer.text);
    }
    assert_eq!(served.inferences(FRAGILE), 0);
    succeed(&served, &cx).await?;
    served.shut_down().await
}

/// A model's breaker is open, and a version that does not fail is deployed. The new version has done nothing wrong: it must be asked at once.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn a_new_version_is_not_punished_for_the_old_one(cx: Context) -> Result {
    let repository = Repository::empty(&cx)?;
    repository.publish_scaled(FRAGILE, SCALE)?;
    let served = Served::start(&cx, &repository).await?;
    fail(&served, FAILURES).await?;
    assert_open(&served).await?;

    repository.publish_bytes(FRAGILE, crate::support::MODEL_BYTES)?;
    served.reload(FRAGILE).await?;
    let answer = served.client.infer(FRAGILE, &OVERWHELMING).await?;
    answer.assert_served_by(2, false);
    served.shut_down().await
}

/// Requests are still arriving when a version that does not fail takes over from one that does. They must be answered by the new one, and its breaker
/// not be told of failures of the old.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn a_version_that_takes_over_while_requests_arrive_is_not_blamed(cx: Context) -> Result {
    let repository = Repository::empty(&cx)?;
    repository.publish_scaled(FRAGILE, SCALE)?;
    let served = Served::start(&cx, &repository).await?;

    let body = Client::inference(&OVERWHELMING).to_string();
    let (first, rest) = body.as_bytes().split_at(body.len() / 2);
    let mut arriving = Vec::new();
    for _ in 0..FAILURES {
        let mut connection = served.client.connect().await?;
        let head = format!(
            "POST /v2/models/{FRAGILE}/infer HTTP/1.1\r\nhost: clarity\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(first).await?;
        arriving.push(connection);
    }
    // Another request is answered meanwhile, so the server has seen the beginnings of these.
    assert_eq!(served.client.status("/v2/health/live").await?, 200);
    repository.publish_bytes(FRAGILE, crate::support::MODEL_BYTES)?;
    served.reload(FRAGILE).await?;

    for mut connection in arriving {
        connection.write_all(rest).await?;
        let answer = read_answer(&mut connection).await?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let answer = served.client.infer(FRAGILE, &OVERWHELMING).await?;
    answer.assert_served_by(2, false);
    served.shut_down().await
}

/// The one probe of a half-open breaker is under way when its client goes away. It must give its place to the next request, or the model would be out for ever.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn a_client_that_goes_away_in_half_open_gives_its_place_to_the_next(cx: Context) -> Result {
    let served = fragile(&cx).await?;
    fail(&served, FAILURES).await?;
    cx.clock().advance(OPEN).await;
    served.executor.hold(JobKind::Inference, FRAGILE);
    let body = Client::inference(&[1.0; 10]).to_string();
    let mut connection = served.client.connect().await?;
    let head = format!(
        "POST /v2/models/{FRAGILE}/infer HTTP/1.1\r\nhost: clarity\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all((head + &body).as_bytes()).await?;
    served.executor.held().await;
    // Half-open admits one, and that is taken.
    let second = served.client.infer(FRAGILE, &[1.0; 10]).await?;
    second.assert_unavailable("circuit_open");
    assert_eq!(served.breaker(FRAGILE)?.probes, 1);

    drop(connection);
    while served.breaker(FRAGILE)?.probes > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(served.breaker(FRAGILE)?.state, BreakerState::HalfOpen);
    served.executor.release();
    succeed(&served, &cx).await?;
    assert_eq!(served.breaker(FRAGILE)?.state, BreakerState::Closed);
    served.shut_down().await
}

/// An operator opens the breaker of a model that works. Nothing must get through and the model not be ready, however long; and when it is released
/// all must be as before.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn a_breaker_that_an_operator_has_opened_stays_so_until_it_is_released(
    cx: Context,
) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    let ready = format!("/v2/models/{MODEL}/ready");
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let breaker = served.force_open(MODEL)?;
    for _ in 0..3 {
        cx.clock().advance(Duration::from_secs(3600)).await;
        let answer = served.client.infer(MODEL, &activity).await?;
        answer.assert_unavailable("circuit_open");
        assert_eq!(served.client.status(&ready).await?, 503);
        // Nobody need send a body in vain.
        let answer = served.client.ask_before_sending(MODEL).await?;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("circuit_open"), "{answer}");
    }
    breaker.release();
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, false);
    assert_eq!(served.client.status(&ready).await?, 200);
    served.shut_down().await
}
