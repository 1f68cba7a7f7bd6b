//! A model that fails on valid requests: its breaker opens, and later admits one probe.
//!
//! The failing model is a real model with all weights multiplied by four. A switch makes all its
//! answers not finite. In some scenarios, its sums overflow instead, on inputs near the maximum of
//! single precision. An answer that is not finite is a failure.

use clarity::{BreakerConfig, BreakerRate, BreakerState, BreakerTrip, BreakerWindow, JobKind};
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::cole_kripke::{self, OVERWHELMING};
use clarity_testbed::{
    Behaviour, FaultSwitch, MODEL, MODEL_BYTES, Repository, Served, post_head, until,
};
use std::time::Duration;

/// The name of the model whose sums overflow on the input [`OVERWHELMING`].
const FRAGILE: &str = "fragile";
const SCALE: f32 = 4.0;

/// The number of consecutive failures that opens a breaker by default.
const FAILURES: usize = 5;
/// The default open time of a breaker.
const OPEN: Duration = Duration::from_secs(60);

/// A served model that can break.
struct Fragile {
    served: Served,
    faulty: FaultSwitch,
}

impl std::ops::Deref for Fragile {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.served
    }
}

impl Fragile {
    async fn start(cx: &Context) -> Result<Self> {
        Self::start_with(cx, BreakerConfig::default()).await
    }

    async fn start_with(cx: &Context, breaker: BreakerConfig) -> Result<Self> {
        let repository = Repository::empty(cx)?;
        repository.publish_scaled(FRAGILE, SCALE)?;
        let faulty = FaultSwitch::new();
        let served = Served::start_faulty(cx, &repository, breaker, &faulty).await?;
        Ok(Self { served, faulty })
    }

    /// Breaks the model, which then fails on each of these requests.
    async fn fail(&self, times: usize) -> Result {
        self.faulty.set(Behaviour::NotFinite);
        for _ in 0..times {
            let answer = self.client.infer(FRAGILE, &[1.0; 10]).await?;
            assert_eq!(answer.status, 503, "{}", answer.body);
            assert_eq!(answer.member("reason")?, "inference_failed");
        }
        Ok(())
    }

    /// Repairs the model, which then answers correctly.
    async fn succeed(&self, cx: &Context) -> Result {
        self.faulty.set(Behaviour::Normal);
        succeed(self, cx).await
    }

    async fn shut_down(self) -> Result {
        self.served.shut_down().await
    }
}

async fn fail(served: &Served, times: usize) -> Result {
    for _ in 0..times {
        let answer = served.client.infer(FRAGILE, &OVERWHELMING).await?;
        assert_eq!(answer.status, 503, "{}", answer.body);
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

/// Asserts that the breaker is open, and returns the seconds until its next probe.
async fn assert_open(served: &Served) -> Result<u64> {
    let called = served.inferences(FRAGILE);
    // The model could answer this request, but must not be called.
    let answer = served.client.infer(FRAGILE, &[1.0; 10]).await?;
    let seconds = answer.assert_unavailable("circuit_open");
    assert_eq!(served.inferences(FRAGILE), called, "the model was called");
    Ok(seconds)
}

/// A model fails five times in a row. Exactly the fifth failure must open its breaker. Then the
/// model must not be called.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn it_opens_at_exactly_the_fifth_failure(cx: Context) -> Result {
    let served = Fragile::start(&cx).await?;
    for failures in 1..=FAILURES {
        served.fail(1).await?;
        assert_eq!(
            served.inferences(FRAGILE),
            failures,
            "the model was not called for each of the first five"
        );
    }
    assert_eq!(assert_open(&served).await?, OPEN.as_secs());
    served.shut_down().await
}

/// Four requests fail, one succeeds, and four more fail. There are never five failures in a row, so
/// the breaker must stay closed. The next request must succeed. Then five requests fail in a row,
/// and the breaker must open.
#[chaos(
    breaker,
    non_destructive,
    clock = "manual",
    seed_name = "circuit_breaker::a_success_starts_the_count_anew"
)]
async fn a_success_restarts_the_count(cx: Context) -> Result {
    let served = Fragile::start(&cx).await?;
    served.fail(FAILURES - 1).await?;
    served.succeed(&cx).await?;
    served.fail(FAILURES - 1).await?;
    served.succeed(&cx).await?;
    served.fail(FAILURES).await?;
    assert_open(&served).await?;
    served.shut_down().await
}

/// A breaker opens. The model must not be called before the open time has passed. After that time,
/// the next request is a probe. The probe succeeds, and must close the breaker.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn after_60_seconds_a_good_probe_closes_it(cx: Context) -> Result {
    let served = Fragile::start(&cx).await?;
    served.fail(FAILURES).await?;
    cx.clock().advance(OPEN - Duration::from_secs(1)).await;
    assert_eq!(assert_open(&served).await?, 1);
    cx.clock().advance(Duration::from_secs(1)).await;
    served.succeed(&cx).await?;
    // The breaker is closed and counts from zero, so four failures do not open it.
    served.fail(FAILURES - 1).await?;
    served.succeed(&cx).await?;
    served.shut_down().await
}

/// The open time passes, and the model still fails. One failed probe must open the breaker again.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn after_60_seconds_a_bad_probe_opens_it_again(cx: Context) -> Result {
    let served = Fragile::start(&cx).await?;
    served.fail(FAILURES).await?;
    for _ in 0..3 {
        cx.clock().advance(OPEN).await;
        served.fail(1).await?;
        assert_eq!(assert_open(&served).await?, OPEN.as_secs());
    }
    cx.clock().advance(OPEN).await;
    served.succeed(&cx).await?;
    served.shut_down().await
}

/// A model fails on random requests, and its breaker counts the last ten calls. The breaker must
/// open exactly when five of the last ten calls have failed.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn a_window_of_calls_opens_it_at_exactly_half(cx: Context) -> Result {
    let mut rate = BreakerRate::default();
    rate.window = BreakerWindow::Calls(10);
    rate.minimum_calls = 10;
    let mut breaker = BreakerConfig::default();
    breaker.trip = BreakerTrip::Rate(rate);
    let served = Fragile::start_with(&cx, breaker).await?;
    let mut rng = cx.rng();
    let mut failed = Vec::new();
    loop {
        assert!(failed.len() < 1000, "the breaker never opened: {failed:?}");
        failed.push(rng.random_bool(0.4));
        match failed.last() {
            Some(true) => served.fail(1).await?,
            _ => served.succeed(&cx).await?,
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

/// A model keeps failing. Its breaker is configured to double the open time after each failed
/// probe, up to a limit. A success must reset the open time.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn open_times_grow_while_the_model_goes_on_failing(cx: Context) -> Result {
    let mut breaker = BreakerConfig::default();
    breaker.open_most = 4 * OPEN;
    let served = Fragile::start_with(&cx, breaker).await?;
    served.fail(FAILURES).await?;
    for times in [1, 2, 4, 4] {
        assert_eq!(assert_open(&served).await?, times * OPEN.as_secs());
        cx.clock().advance(OPEN * times as u32).await;
        served.fail(1).await?;
    }
    cx.clock().advance(4 * OPEN).await;
    served.succeed(&cx).await?;
    served.fail(FAILURES).await?;
    assert_eq!(assert_open(&served).await?, OPEN.as_secs());
    served.shut_down().await
}

/// The breaker of one model is open. Another model must answer as usual.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn an_open_breaker_leaves_other_models_alone(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    repository.publish_scaled(FRAGILE, SCALE)?;
    let served = Served::start(&cx, &repository).await?;
    fail(&served, FAILURES).await?;
    assert_open(&served).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    cole_kripke::assert_right(&answer, &activity, 1.0)?;
    served.shut_down().await
}

/// Clients send requests with wrong names, shapes and types. Such requests are not failures of the
/// model, and must not open its breaker.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn bad_requests_are_not_failures_of_the_model(cx: Context) -> Result {
    let served = Fragile::start(&cx).await?;
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
        assert_eq!(answer.status, 400, "{request}: {}", answer.body);
    }
    assert_eq!(served.inferences(FRAGILE), 0);
    served.succeed(&cx).await?;
    served.shut_down().await
}

/// The breaker of a model is open, and a version that works is deployed. The new version must be
/// called at once.
#[chaos(breaker, non_destructive, clock = "manual")]
async fn a_new_version_is_not_punished_for_the_old_one(cx: Context) -> Result {
    let repository = Repository::empty(&cx)?;
    repository.publish_scaled(FRAGILE, SCALE)?;
    let served = Served::start(&cx, &repository).await?;
    fail(&served, FAILURES).await?;
    assert_open(&served).await?;

    repository.publish_bytes(FRAGILE, MODEL_BYTES)?;
    served.reload(FRAGILE).await?;
    let answer = served.client.infer(FRAGILE, &OVERWHELMING).await?;
    answer.assert_served_by(2, false);
    served.shut_down().await
}

/// A good version replaces a failing one while requests arrive. The new version must answer these
/// requests, and its breaker must not count failures of the old version.
#[chaos(
    breaker,
    non_destructive,
    clock = "manual",
    seed_name = "circuit_breaker::a_version_that_takes_over_while_requests_arrive_is_not_blamed"
)]
async fn a_version_that_takes_over_amid_requests_is_not_blamed(cx: Context) -> Result {
    let repository = Repository::empty(&cx)?;
    repository.publish_scaled(FRAGILE, SCALE)?;
    let served = Served::start(&cx, &repository).await?;

    let body = cole_kripke::request(&OVERWHELMING).to_string();
    let (first, rest) = body.as_bytes().split_at(body.len() / 2);
    let mut arriving = Vec::new();
    for _ in 0..FAILURES {
        let mut connection = served.client.connect().await?;
        let path = format!("/v2/models/{FRAGILE}/infer");
        connection.send(post_head(&path, body.len())).await?;
        connection.send(first).await?;
        arriving.push(connection);
    }
    // When the server answers this health request, it has already read the first half of each
    // inference request.
    assert_eq!(served.client.status("/v2/health/live").await?, 200);
    repository.publish_bytes(FRAGILE, MODEL_BYTES)?;
    served.reload(FRAGILE).await?;

    for mut connection in arriving {
        connection.send(rest).await?;
        let answer = connection.read_response().await?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let answer = served.client.infer(FRAGILE, &OVERWHELMING).await?;
    answer.assert_served_by(2, false);
    served.shut_down().await
}

/// A client disconnects while its request is the probe of a half-open breaker. The next request
/// must become the probe; otherwise the breaker would never close.
#[chaos(
    breaker,
    non_destructive,
    clock = "manual",
    seed_name = "circuit_breaker::a_client_that_goes_away_in_half_open_gives_its_place_to_the_next"
)]
async fn a_probe_whose_client_leaves_gives_its_place_to_the_next(cx: Context) -> Result {
    let served = Fragile::start(&cx).await?;
    served.fail(FAILURES).await?;
    cx.clock().advance(OPEN).await;
    served.executor.hold(JobKind::Inference, FRAGILE);
    let body = cole_kripke::request(&[1.0; 10]).to_string();
    let mut connection = served.client.connect().await?;
    let head = post_head(&format!("/v2/models/{FRAGILE}/infer"), body.len());
    connection.send(head + &body).await?;
    served.executor.until_held(1).await;
    // A half-open breaker admits one probe at a time, and the first probe is still running.
    let second = served.client.infer(FRAGILE, &[1.0; 10]).await?;
    second.assert_unavailable("circuit_open");
    assert_eq!(served.breaker(FRAGILE)?.probes, 1);

    drop(connection);
    until("the end of the probe", || {
        let breaker = served.breaker(FRAGILE);
        breaker.is_ok_and(|breaker| breaker.probes == 0)
    })
    .await;
    assert_eq!(served.breaker(FRAGILE)?.state, BreakerState::HalfOpen);
    served.executor.release();
    served.succeed(&cx).await?;
    assert_eq!(served.breaker(FRAGILE)?.state, BreakerState::Closed);
    served.shut_down().await
}

/// An operator opens the breaker of a good model by force. For hours, the model must be neither
/// called nor ready. After the operator releases the breaker, the breaker must be closed.
#[chaos(
    breaker,
    non_destructive,
    clock = "manual",
    seed_name = "circuit_breaker::a_breaker_that_an_operator_has_opened_stays_so_until_it_is_released"
)]
async fn a_breaker_opened_by_an_operator_stays_open_until_released(cx: Context) -> Result {
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
        // The server must refuse the request before the client sends the body.
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
