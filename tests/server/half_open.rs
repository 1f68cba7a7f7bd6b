//! The half-open circuit breaker as a client sees it, with a clock that the tests control.

use clarity::{BreakerState, Server};
use clarity_testbed::*;

use crate::breaker::{fail, serve_faulty};

#[tokio::test]
async fn good_probe_after_60_seconds_closes_the_breaker() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let (server, client) = serve_faulty(&models, &faulty).await;
    fail(&client, &faulty, 5).await;
    clock.advance(60.0).await;
    faulty.set(Behaviour::Normal);
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().body,
        SHORT_ANSWER
    );
    assert_eq!(
        server.models().breaker("cole_kripke").unwrap().state,
        BreakerState::Closed
    );
    for (from, to) in [
        ("closed", "open"),
        ("open", "half_open"),
        ("half_open", "closed"),
    ] {
        let series = format!(
            r#"circuit_breaker_transitions_total{{model="cole_kripke",from="{from}",to="{to}"}}"#
        );
        assert_eq!(metric(&server, &series), 1.0, "{series}");
    }
}

#[tokio::test]
async fn bad_probe_after_60_seconds_opens_it_again() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let (_server, client) = serve_faulty(&models, &faulty).await;
    fail(&client, &faulty, 5).await;
    clock.advance(60.0).await;
    let runs = faulty.runs();
    client
        .post(INFER, &short_request())
        .await
        .unwrap()
        .assert_problem(503, "inference_failed");
    let response = client.post(INFER, &short_request()).await.unwrap();
    response.assert_problem(503, "circuit_open");
    assert_eq!(
        (response.retry_after(), faulty.runs()),
        (Some(60), runs + 1)
    );
}

/// The probe hangs in the pool. Other requests are rejected, not queued behind the probe.
#[tokio::test]
async fn half_open_breaker_admits_one_probe_at_a_time() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let (server, client) = start(
        Server::builder(models.root())
            .config(config())
            .runtime(faulty.runtime()),
    )
    .await;
    fail(&client, &faulty, 5).await;
    clock.advance(60.0).await;
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let probe = tokio::spawn({
        let client = client.clone();
        async move { client.post(INFER, &short_request()).await.unwrap() }
    });
    faulty.until_runs(runs + 1).await;
    for _ in 0..20 {
        let response = client.post(INFER, &short_request()).await.unwrap();
        response.assert_problem(503, "circuit_open");
        assert_eq!(response.retry_after(), Some(1));
    }
    faulty.release();
    assert_eq!(probe.await.unwrap().body, SHORT_ANSWER);
    assert_eq!(
        server.models().breaker("cole_kripke").unwrap().state,
        BreakerState::Closed
    );
    assert_eq!(faulty.runs(), runs + 1);
}

/// The model hangs, and the client of the probe disconnects: the next request becomes the probe.
#[tokio::test]
async fn probe_of_a_gone_client_gives_its_place_back() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let (server, client) = start(
        Server::builder(models.root())
            .config(config())
            .runtime(faulty.runtime()),
    )
    .await;
    fail(&client, &faulty, 5).await;
    clock.advance(60.0).await;
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let probe = tokio::spawn({
        let client = client.clone();
        async move { client.post(INFER, &short_request()).await.unwrap() }
    });
    faulty.until_runs(runs + 1).await;
    probe.abort();
    let breaker = server.models().breaker_handle("cole_kripke").unwrap();
    until("the end of the probe", || breaker.snapshot().probes == 0).await;
    assert_eq!(breaker.snapshot().state, BreakerState::HalfOpen);
    faulty.set(Behaviour::Normal);
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().body,
        SHORT_ANSWER
    );
    assert_eq!(breaker.snapshot().state, BreakerState::Closed);
    faulty.release();
}
