//! Requests on which a working model fails. They must not take the model from its other clients.

use clarity::{BreakerConfig, BreakerRate, BreakerState, BreakerTrip, BreakerWindow};
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::{Behaviour, FaultSwitch, MODEL, POISON, Repository, Served, cole_kripke};
use std::time::Duration;

/// The number of steps of a scenario, one every 20 ms.
const STEPS: u32 = 150;
const STEP: Duration = Duration::from_millis(20);

/// One client sends requests that make the model fail, at random times among good requests of
/// others. The breaker must never open, each good request must be answered correctly, and the model
/// must be judged at most once a second. Then the model breaks, and its breaker must open.
#[chaos(breaker, non_destructive, clock = "manual", timeout = "120s")]
async fn poisonous_requests_never_open_the_breaker(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let mut rng = cx.rng();
    let mut rate = BreakerRate::default();
    rate.window = BreakerWindow::Calls(rng.random_range(1..30));
    rate.minimum_calls = 1;
    let mut breaker = BreakerConfig::default();
    breaker.trip = match rng.random_bool(0.5) {
        true => BreakerTrip::ConsecutiveFailures(rng.random_range(1..6)),
        false => BreakerTrip::Rate(rate),
    };
    let faulty = FaultSwitch::new();
    let served = Served::start_faulty(&cx, &repository, breaker, &faulty).await?;
    let activity = cole_kripke::activity(10, &mut rng);
    cole_kripke::assert_right(
        &served.client.infer(MODEL, &activity).await?,
        &activity,
        1.0,
    )?;

    let mut runs = 1;
    for _ in 0..STEPS {
        faulty.poison(match rng.random_bool(0.5) {
            true => Behaviour::Error,
            false => Behaviour::NotFinite,
        });
        runs += 1;
        if rng.random_bool(0.2) {
            let activity = cole_kripke::activity(10, &mut rng);
            cole_kripke::assert_right(
                &served.client.infer(MODEL, &activity).await?,
                &activity,
                1.0,
            )?;
        } else {
            let answer = served.client.infer(MODEL, &[POISON; 10]).await?;
            assert!([422, 503].contains(&answer.status.as_u16()), "{answer:?}");
            assert_ne!(answer.member("reason")?, "circuit_open");
        }
        assert_eq!(served.breaker(MODEL)?.state, BreakerState::Closed);
        cx.clock().advance(STEP).await;
    }
    let judging_runs = served.inferences(MODEL) - runs;
    let seconds = (STEP * STEPS).as_secs() as usize;
    assert!(judging_runs > 0, "no failure was judged");
    assert!(judging_runs <= seconds + 1, "{judging_runs} judging runs");

    faulty.set(Behaviour::Error);
    cx.clock().advance(Duration::from_secs(2)).await;
    for _ in 0..60 {
        let _ = served.client.infer(MODEL, &activity).await?;
    }
    assert_eq!(served.breaker(MODEL)?.state, BreakerState::Open);
    served.shut_down().await
}

/// Clients send requests that make the model fail, and disconnect at random moments. Such a client
/// must neither open the breaker nor keep others from the verdict.
#[chaos(breaker, non_destructive, clock = "manual", timeout = "120s")]
async fn clients_that_leave_amid_a_verdict_take_nothing_with_them(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let faulty = FaultSwitch::new();
    let breaker = BreakerConfig::default();
    let served = Served::start_faulty(&cx, &repository, breaker, &faulty).await?;
    let mut rng = cx.rng();
    let activity = cole_kripke::activity(10, &mut rng);
    let answer = served.client.infer(MODEL, &activity).await?;
    cole_kripke::assert_right(&answer, &activity, 1.0)?;
    faulty.poison(Behaviour::Error);
    for _ in 0..20 {
        let failing: Vec<_> = (0..8)
            .map(|_| served.client.infer_in_background(MODEL, &[POISON; 10]))
            .collect();
        for request in failing {
            for _ in 0..rng.random_range(0..20) {
                tokio::task::yield_now().await;
            }
            if rng.random_bool(0.5) {
                request.abort();
            } else {
                let answer = request.await??;
                assert!([422, 503].contains(&answer.status.as_u16()), "{answer:?}");
                assert_ne!(answer.member("reason")?, "circuit_open");
            }
        }
        assert_eq!(served.breaker(MODEL)?.state, BreakerState::Closed);
        cx.clock().advance(Duration::from_millis(400)).await;
    }
    let answer = served.client.infer(MODEL, &activity).await?;
    cole_kripke::assert_right(&answer, &activity, 1.0)?;
    served.shut_down().await
}
