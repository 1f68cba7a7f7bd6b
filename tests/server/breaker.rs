//! The circuit breaker, seen from a client, under a clock that is driven by hand.

use std::time::Duration;

use clarity::{
    BreakerRate, BreakerState, BreakerTrip, BreakerWindow, Config, Executor, Inline, Job, JobKind,
    Overloaded, Server, SlowCalls,
};

use crate::support::faulty::{Faulty, Mood};
use crate::support::*;

async fn serve_faulty(models: &Models, faulty: &Faulty) -> (Server, Client) {
    start(
        Server::builder(models.root())
            .config(config())
            .executor(Inline)
            .runtime(faulty.runtime()),
    )
    .await
}

async fn fail(client: &Client, faulty: &Faulty, times: usize) {
    faulty.set(Mood::Error);
    for _ in 0..times {
        client
            .post(INFER, &short_request())
            .await
            .assert_problem(503, "inference_failed");
    }
}

#[tokio::test]
async fn it_opens_at_the_fifth_failure_and_stops_calling_the_model() {
    let clock = ManualClock::start();
    let (models, faulty) = (Models::cole_kripke(), Faulty::new());
    let (server, client) = serve_faulty(&models, &faulty).await;
    fail(&client, &faulty, 4).await;
    faulty.set(Mood::Well);
    assert_eq!(
        client.post(INFER, &short_request()).await.status,
        200,
        "four in a row are borne"
    );
    fail(&client, &faulty, 5).await;
    faulty.set(Mood::Well);
    let runs = faulty.runs();
    for elapsed in [0.0, 0.5, 59.0] {
        clock.advance(elapsed).await;
        let response = client.post(INFER, &short_request()).await;
        response.assert_problem(503, "circuit_open");
        let left = server
            .models()
            .breaker("cole_kripke")
            .unwrap()
            .open_for
            .unwrap();
        assert_eq!(
            response.retry_after(),
            Some((left.as_secs_f64().ceil() as u64).max(1))
        );
    }
    assert_eq!(faulty.runs(), runs, "the model is left alone");
    assert_eq!(client.get("/v2/models/cole_kripke/ready").await.status, 200);
    assert_eq!(
        metric(
            &server,
            r#"circuit_breaker_state{model="cole_kripke",state="open"}"#
        ),
        1.0
    );
    assert_eq!(
        metric(
            &server,
            r#"circuit_breaker_rejected_total{model="cole_kripke"}"#
        ),
        3.0
    );
}

#[tokio::test]
async fn after_60_seconds_a_good_probe_closes_it() {
    let clock = ManualClock::start();
    let (models, faulty) = (Models::cole_kripke(), Faulty::new());
    let (server, client) = serve_faulty(&models, &faulty).await;
    fail(&client, &faulty, 5).await;
    clock.advance(60.0).await;
    faulty.set(Mood::Well);
    assert_eq!(
        client.post(INFER, &short_request()).await.body,
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
async fn after_60_seconds_a_bad_probe_opens_it_again() {
    let clock = ManualClock::start();
    let (models, faulty) = (Models::cole_kripke(), Faulty::new());
    let (_server, client) = serve_faulty(&models, &faulty).await;
    fail(&client, &faulty, 5).await;
    clock.advance(60.0).await;
    let runs = faulty.runs();
    client
        .post(INFER, &short_request())
        .await
        .assert_problem(503, "inference_failed");
    let response = client.post(INFER, &short_request()).await;
    response.assert_problem(503, "circuit_open");
    assert_eq!(
        (response.retry_after(), faulty.runs()),
        (Some(60), runs + 1)
    );
}

/// The probe hangs in the pool: the others are rejected and not queued behind it.
#[tokio::test]
async fn half_open_lets_one_probe_through_and_no_more() {
    let clock = ManualClock::start();
    let (models, faulty) = (Models::cole_kripke(), Faulty::new());
    let (server, client) = start(
        Server::builder(models.root())
            .config(config())
            .runtime(faulty.runtime()),
    )
    .await;
    fail(&client, &faulty, 5).await;
    clock.advance(60.0).await;
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let probe = tokio::spawn({
        let client = client.clone();
        async move { client.post(INFER, &short_request()).await }
    });
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        let response = client.post(INFER, &short_request()).await;
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

#[tokio::test]
async fn bad_requests_are_not_the_models_failures() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Models::cole_kripke(), Faulty::new());
    let (server, client) = serve_faulty(&models, &faulty).await;
    fail(&client, &faulty, 4).await;
    for _ in 0..10 {
        client
            .post_text(INFER, "{}")
            .await
            .assert_problem(400, "invalid_request");
    }
    let snapshot = server.models().breaker("cole_kripke").unwrap();
    assert_eq!(
        (snapshot.state, snapshot.consecutive_failures),
        (BreakerState::Closed, 4)
    );
}

#[tokio::test]
async fn a_new_version_starts_with_a_closed_breaker() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Models::cole_kripke(), Faulty::new());
    let (server, client) = serve_faulty(&models, &faulty).await;
    fail(&client, &faulty, 5).await;
    faulty.set(Mood::Well);
    models.publish("cole_kripke", COLE_KRIPKE);
    server.models().reload("cole_kripke").await.unwrap();
    let answer = client.post(INFER, &short_request()).await;
    assert_eq!(answer.json()["model_version"], "2");
    assert_eq!(
        metric(
            &server,
            r#"circuit_breaker_transitions_total{model="cole_kripke",from="open",to="closed"}"#
        ),
        1.0
    );
}

#[tokio::test]
async fn one_models_breaker_is_not_anothers() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Models::cole_kripke(), Faulty::new());
    models.publish("other", COLE_KRIPKE);
    let (_server, client) = serve_faulty(&models, &faulty).await;
    fail(&client, &faulty, 5).await;
    faulty.set(Mood::Well);
    client
        .post(INFER, &short_request())
        .await
        .assert_problem(503, "circuit_open");
    assert_eq!(
        client
            .post("/v2/models/other/infer", &short_request())
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn its_numbers_can_be_set() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Models::cole_kripke(), Faulty::new());
    let mut config = config();
    config.breaker.trip = BreakerTrip::ConsecutiveFailures(2);
    let builder = Server::builder(models.root())
        .config(config)
        .executor(Inline)
        .runtime(faulty.runtime());
    let (_server, client) = start(builder).await;
    fail(&client, &faulty, 2).await;
    client
        .post(INFER, &short_request())
        .await
        .assert_problem(503, "circuit_open");
    let mut nonsense = Config::default();
    nonsense.breaker.trip = BreakerTrip::ConsecutiveFailures(0);
    let error = Server::builder(models.root())
        .config(nonsense)
        .bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "breaker.failures: expected 1 to 1000000, found 0"
    );
}

/// The model hangs, and the client of the one probe does not wait for it: the next request is the next probe.
#[tokio::test]
async fn a_probe_whose_client_goes_away_gives_its_place_back() {
    let clock = ManualClock::start();
    let (models, faulty) = (Models::cole_kripke(), Faulty::new());
    let (server, client) = start(
        Server::builder(models.root())
            .config(config())
            .runtime(faulty.runtime()),
    )
    .await;
    fail(&client, &faulty, 5).await;
    clock.advance(60.0).await;
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let probe = tokio::spawn({
        let client = client.clone();
        async move { client.post(INFER, &short_request()).await }
    });
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    probe.abort();
    let breaker = server.models().breaker_handle("cole_kripke").unwrap();
    while breaker.snapshot().probes > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(breaker.snapshot().state, BreakerState::HalfOpen);
    faulty.set(Mood::Well);
    assert_eq!(
        client.post(INFER, &short_request()).await.body,
        SHORT_ANSWER
    );
    assert_eq!(breaker.snapshot().state, BreakerState::Closed);
    faulty.release();
}

#[tokio::test]
async fn an_operator_overrules_it_and_is_obeyed_until_it_is_released() {
    let clock = ManualClock::start();
    let (models, faulty) = (Models::cole_kripke(), Faulty::new());
    let (server, client) = serve_faulty(&models, &faulty).await;
    let breaker = server.models().breaker_handle("cole_kripke").unwrap();
    let mut events = breaker.subscribe();
    breaker.force_open();
    clock.advance(1_000.0).await;
    models.publish("cole_kripke", COLE_KRIPKE);
    server.models().reload("cole_kripke").await.unwrap();
    let response = client.post(INFER, &short_request()).await;
    response.assert_problem(503, "circuit_open");
    let detail = response.json()["detail"].to_string();
    assert!(detail.contains("an operator opened"), "{detail}");
    assert_eq!(response.retry_after(), Some(60));
    let ready = "/v2/models/cole_kripke/ready";
    let response = client.get(ready).await;
    response.assert_problem(503, "circuit_open");
    response.assert_says("an operator opened");
    assert_eq!(client.get("/v2/health/ready").await.status, 200);
    let forced = r#"circuit_breaker_state{model="cole_kripke",state="forced_open"}"#;
    assert_eq!(metric(&server, forced), 1.0);

    breaker.disable();
    assert_eq!(client.get(ready).await.status, 200);
    fail(&client, &faulty, 20).await;
    breaker.release();
    faulty.set(Mood::Well);
    assert_eq!(client.post(INFER, &short_request()).await.status, 200);
    assert_eq!(metric(&server, forced), 0.0);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(events.next().await.unwrap().to);
    }
    use BreakerState::{Closed, Disabled, ForcedOpen};
    assert_eq!(seen, [ForcedOpen, Disabled, Closed]);
}

/// The model answers well and takes too long: by the clock that the test drives.
#[tokio::test]
async fn slow_answers_open_it() {
    let clock = ManualClock::start();
    let (models, faulty) = (Models::cole_kripke(), Faulty::new());
    let mut rate = BreakerRate::default();
    rate.window = BreakerWindow::Time(Duration::from_secs(600));
    rate.minimum_calls = 3;
    rate.slow_calls = Some(SlowCalls::new(Duration::from_secs(2), 50));
    let mut config = config();
    config.breaker.trip = BreakerTrip::Rate(rate);
    let builder = Server::builder(models.root())
        .config(config)
        .runtime(faulty.runtime());
    let (server, client) = start(builder).await;
    assert_eq!(client.post(INFER, &short_request()).await.status, 200);
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let slow = [(); 2].map(|()| {
        let client = client.clone();
        tokio::spawn(async move { client.post(INFER, &short_request()).await })
    });
    while faulty.runs() < runs + 2 {
        tokio::task::yield_now().await;
    }
    clock.advance(3.0).await;
    faulty.release();
    for slow in slow {
        assert_eq!(slow.await.unwrap().status, 200);
    }
    let snapshot = server.models().breaker("cole_kripke").unwrap();
    assert_eq!(snapshot.state, BreakerState::Open);
    client
        .post(INFER, &short_request())
        .await
        .assert_problem(503, "circuit_open");
}

/// Has room when it is asked, and none when it counts: as when others come first while a body arrives.
#[derive(Debug)]
struct Full;

impl Executor for Full {
    fn execute(&self, job: Job) -> Result<(), Overloaded> {
        match job.kind() {
            JobKind::Inference => Err(Overloaded),
            _ => Inline.execute(job),
        }
    }
}

#[tokio::test]
async fn what_is_shed_after_it_was_admitted_is_not_the_models_failure() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    let (server, client) = serve_with(&models, config(), Full).await;
    for _ in 0..20 {
        let shed = client.post(INFER, &short_request()).await;
        shed.assert_problem(503, "overloaded");
    }
    let breaker = server.models().breaker("cole_kripke").unwrap();
    assert_eq!(breaker.state, BreakerState::Closed);
    assert_eq!(breaker.consecutive_failures, 0);
}

/// What would be refused when it had been read is not read: a server whose model has failed has better things to do.
#[tokio::test]
async fn an_open_breaker_rejects_a_request_before_it_is_read() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Models::cole_kripke(), Faulty::new());
    let (_server, client) = serve_faulty(&models, &faulty).await;
    client
        .post_text(INFER, "not JSON")
        .await
        .assert_problem(400, "invalid_request");
    fail(&client, &faulty, 5).await;
    client
        .post_text(INFER, "not JSON")
        .await
        .assert_problem(503, "circuit_open");
}
