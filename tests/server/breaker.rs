//! The circuit breaker as a client sees it, with a clock that the tests control.

use std::time::Duration;

use clarity::{
    BreakerRate, BreakerState, BreakerTrip, BreakerWindow, Config, Executor, Inline, Job, JobKind,
    Overloaded, Server, SlowCalls,
};

use clarity_testbed::*;

/// Starts a server with an inline executor. `faulty` sets the behaviour of the server's models.
pub(crate) async fn serve_faulty(models: &Repository, faulty: &FaultSwitch) -> (Server, Client) {
    start(
        Server::builder(models.root())
            .config(config())
            .executor(Inline)
            .runtime(faulty.runtime()),
    )
    .await
}

/// Makes predictions fail `times` times.
pub(crate) async fn fail(client: &Client, faulty: &FaultSwitch, times: usize) {
    faulty.set(Behaviour::Error);
    for _ in 0..times {
        client
            .post(INFER, &short_request())
            .await
            .unwrap()
            .assert_problem(503, "inference_failed");
    }
}

#[tokio::test]
async fn breaker_opens_at_the_fifth_failure_and_spares_the_model() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let (server, client) = serve_faulty(&models, &faulty).await;
    fail(&client, &faulty, 4).await;
    faulty.set(Behaviour::Normal);
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().status,
        200,
        "four failures in a row opened the breaker"
    );
    fail(&client, &faulty, 5).await;
    faulty.set(Behaviour::Normal);
    let runs = faulty.runs();
    for elapsed in [0.0, 0.5, 59.0] {
        clock.advance(elapsed).await;
        let response = client.post(INFER, &short_request()).await.unwrap();
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
    assert_eq!(faulty.runs(), runs, "the open breaker called the model");
    assert_eq!(
        client
            .get("/v2/models/cole_kripke/ready")
            .await
            .unwrap()
            .status,
        200
    );
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
async fn bad_requests_do_not_count_as_failures() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let (server, client) = serve_faulty(&models, &faulty).await;
    fail(&client, &faulty, 4).await;
    for _ in 0..10 {
        client
            .post_text(INFER, "{}")
            .await
            .unwrap()
            .assert_problem(400, "invalid_request");
    }
    let snapshot = server.models().breaker("cole_kripke").unwrap();
    assert_eq!(
        (snapshot.state, snapshot.consecutive_failures),
        (BreakerState::Closed, 4)
    );
}

#[tokio::test]
async fn new_version_starts_with_a_closed_breaker() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let (server, client) = serve_faulty(&models, &faulty).await;
    fail(&client, &faulty, 5).await;
    faulty.set(Behaviour::Normal);
    models.publish("cole_kripke", MODEL_BYTES);
    server.models().reload("cole_kripke").await.unwrap();
    let answer = client.post(INFER, &short_request()).await.unwrap();
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
async fn open_breaker_leaves_other_models_alone() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    models.publish("other", MODEL_BYTES);
    let (_server, client) = serve_faulty(&models, &faulty).await;
    fail(&client, &faulty, 5).await;
    faulty.set(Behaviour::Normal);
    client
        .post(INFER, &short_request())
        .await
        .unwrap()
        .assert_problem(503, "circuit_open");
    assert_eq!(
        client
            .post("/v2/models/other/infer", &short_request())
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn breaker_follows_its_configuration() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
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
        .unwrap()
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

#[tokio::test]
async fn operator_overrules_the_breaker_until_it_is_released() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let (server, client) = serve_faulty(&models, &faulty).await;
    let breaker = server.models().breaker_handle("cole_kripke").unwrap();
    let mut events = breaker.subscribe();
    breaker.force_open();
    clock.advance(1_000.0).await;
    models.publish("cole_kripke", MODEL_BYTES);
    server.models().reload("cole_kripke").await.unwrap();
    let response = client.post(INFER, &short_request()).await.unwrap();
    response.assert_problem(503, "circuit_open");
    let detail = response.json()["detail"].to_string();
    assert!(detail.contains("an operator opened"), "{detail}");
    assert_eq!(response.retry_after(), Some(60));
    let ready = "/v2/models/cole_kripke/ready";
    let response = client.get(ready).await.unwrap();
    response.assert_problem(503, "circuit_open");
    response.assert_says("an operator opened");
    assert_eq!(client.get("/v2/health/ready").await.unwrap().status, 200);
    let forced = r#"circuit_breaker_state{model="cole_kripke",state="forced_open"}"#;
    assert_eq!(metric(&server, forced), 1.0);

    breaker.disable();
    assert_eq!(client.get(ready).await.unwrap().status, 200);
    fail(&client, &faulty, 20).await;
    breaker.release();
    faulty.set(Behaviour::Normal);
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().status,
        200
    );
    assert_eq!(metric(&server, forced), 0.0);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(events.next().await.unwrap().to);
    }
    use BreakerState::{Closed, Disabled, ForcedOpen};
    assert_eq!(seen, [ForcedOpen, Disabled, Closed]);
}

/// The answers are right, but too slow by the clock that the test controls.
#[tokio::test]
async fn slow_answers_open_the_breaker() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
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
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().status,
        200
    );
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let slow = [(); 2].map(|()| {
        let client = client.clone();
        tokio::spawn(async move { client.post(INFER, &short_request()).await.unwrap() })
    });
    faulty.until_runs(runs + 2).await;
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
        .unwrap()
        .assert_problem(503, "circuit_open");
}

/// Reports free capacity but refuses inferences, as if other requests took it while a body arrived.
#[derive(Debug)]
struct RefusingExecutor;

impl Executor for RefusingExecutor {
    fn execute(&self, job: Job) -> Result<(), Overloaded> {
        match job.kind() {
            JobKind::Inference => Err(Overloaded),
            _ => Inline.execute(job),
        }
    }
}

#[tokio::test]
async fn prediction_shed_after_admission_is_not_a_failure() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let (server, client) = serve_with(&models, config(), RefusingExecutor).await;
    for _ in 0..20 {
        let shed = client.post(INFER, &short_request()).await.unwrap();
        shed.assert_problem(503, "overloaded");
    }
    let breaker = server.models().breaker("cole_kripke").unwrap();
    assert_eq!(breaker.state, BreakerState::Closed);
    assert_eq!(breaker.consecutive_failures, 0);
}

#[tokio::test]
async fn open_breaker_rejects_a_request_before_reading_it() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let (_server, client) = serve_faulty(&models, &faulty).await;
    client
        .post_text(INFER, "not JSON")
        .await
        .unwrap()
        .assert_problem(400, "invalid_request");
    fail(&client, &faulty, 5).await;
    client
        .post_text(INFER, "not JSON")
        .await
        .unwrap()
        .assert_problem(503, "circuit_open");
}
