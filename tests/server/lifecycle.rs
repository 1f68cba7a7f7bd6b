//! Slow first loads, models, bodies and shutdowns.

use clarity::{BlockingPool, Server};
use clarity_testbed::*;
use tokio::io::AsyncReadExt as _;

#[tokio::test]
async fn late_model_is_504_and_keeps_its_place_in_the_pool() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let faulty = FaultSwitch::new();
    let builder = Server::builder(models.root())
        .config(config())
        .runtime(faulty.runtime());
    let (server, client) = start(builder.executor(BlockingPool::new(1))).await;
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.post(INFER, &short_request()).await.unwrap() }
    });
    faulty.until_runs(runs + 1).await;
    let shed = client.post(INFER, &short_request()).await.unwrap();
    shed.assert_problem(503, "overloaded");
    assert_eq!(shed.retry_after(), Some(1));
    clock.run_out(30.0).await;
    let late = slow.await.unwrap();
    late.assert_problem(504, "deadline_exceeded");
    assert_eq!(
        server
            .models()
            .breaker("cole_kripke")
            .unwrap()
            .consecutive_failures,
        1,
        "a late answer is a failure, a shed request is none"
    );
    client
        .post(INFER, &short_request())
        .await
        .unwrap()
        .assert_problem(503, "overloaded");
    assert_eq!(metric(&server, "requests_shed_total"), 2.0);
    faulty.set(Behaviour::Normal);
    faulty.release();
    until_some("an answer of the released model", async || {
        let response = client.post(INFER, &short_request()).await.unwrap();
        (response.status == 200).then_some(())
    })
    .await;
}

/// A body that stops half-way does not count as a failure of the model.
#[tokio::test]
async fn incomplete_body_is_408() {
    let clock = ManualClock::start();
    let (server, _client) = serve(&Repository::temporary_with_model()).await;
    let mut connection = Connection::open(server.local_addr()).await.unwrap();
    let half = post_head(INFER, 100) + "{";
    connection.send(half).await.unwrap();
    let series = r#"prediction_failure_total{model="cole_kripke",reason="request_timeout"}"#;
    // Advance repeatedly: no timer runs until the server has read the head.
    until_some("the timeout of the body", async || {
        clock.run_out(30.0).await;
        (metric(&server, series) > 0.0).then_some(())
    })
    .await;
    assert_eq!(connection.read_status().await.unwrap(), 408);
    assert_eq!(
        server
            .models()
            .breaker("cole_kripke")
            .unwrap()
            .consecutive_failures,
        0
    );
}

#[tokio::test]
async fn client_that_leaves_is_counted_and_no_failure() {
    let models = Repository::temporary_with_model();
    let faulty = FaultSwitch::new();
    let (server, client) = start(
        Server::builder(models.root())
            .config(config())
            .runtime(faulty.runtime()),
    )
    .await;
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let waiting = tokio::spawn(async move { client.post(INFER, &short_request()).await.unwrap() });
    faulty.until_runs(runs + 1).await;
    waiting.abort();
    let series = r#"prediction_failure_total{model="cole_kripke",reason="cancelled"}"#;
    until("a cancelled request", || metric(&server, series) > 0.0).await;
    assert_eq!(
        server
            .models()
            .breaker("cole_kripke")
            .unwrap()
            .consecutive_failures,
        0
    );
    faulty.release();
}

#[tokio::test]
async fn shutdown_answers_open_requests_and_refuses_new_ones() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let faulty = FaultSwitch::new();
    let (server, client) = start(
        Server::builder(models.root())
            .config(config())
            .runtime(faulty.runtime()),
    )
    .await;
    let address = server.local_addr();
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let under_way =
        tokio::spawn(async move { client.post(INFER, &short_request()).await.unwrap() });
    faulty.until_runs(runs + 1).await;
    let shutdown = tokio::spawn(server.shutdown());
    until_some("the refusal of a connection", async || {
        Connection::open(address).await.err()
    })
    .await;
    // Longer than the wait for the rest of a request head.
    clock.run_out(20.0).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    faulty.release();
    assert_eq!(under_way.await.unwrap().body, SHORT_ANSWER);
    assert!(
        within("the shutdown", shutdown).await.unwrap(),
        "a request was cut"
    );
}

/// A slow body and then a slow model together take longer than a shutdown waits.
#[tokio::test]
async fn shutdown_cuts_requests_after_its_time() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let faulty = FaultSwitch::new();
    let builder = Server::builder(models.root())
        .config(config())
        .runtime(faulty.runtime());
    let (server, _client) = start(builder).await;
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let mut connection = Connection::open(server.local_addr()).await.unwrap();
    let body = short_request().to_string();
    let head = expecting_head(INFER, body.len());
    connection.send(head).await.unwrap();
    let mut go_on = [0; 25];
    within("100 Continue", connection.stream().read_exact(&mut go_on))
        .await
        .unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let shutdown = tokio::spawn(server.shutdown());
    tokio::task::yield_now().await;
    clock.advance(29.0).await;
    connection.send(body).await.unwrap();
    faulty.until_runs(runs + 1).await;
    clock.run_out(16.0).await;
    assert!(
        !within("the shutdown", shutdown).await.unwrap(),
        "no request was cut"
    );
    // An error means that the connection was reset.
    let answer = connection.read_to_end().await.unwrap_or_default();
    assert!(answer.is_empty(), "the cut connection got an answer");
    faulty.release();
}

#[tokio::test]
async fn loading_model_is_503_and_the_server_is_alive() {
    let models = Repository::temporary_with_model();
    let faulty = FaultSwitch::new();
    faulty.set(Behaviour::Hang);
    let builder = Server::builder(models.root())
        .config(config())
        .runtime(faulty.runtime());
    let server = bind(builder).await;
    let client = Client::new(server.local_addr());
    assert_eq!(client.get("/v2/health/live").await.unwrap().status, 200);
    for response in [
        client.get("/v2/health/ready").await.unwrap(),
        client.get("/v2/models/cole_kripke/ready").await.unwrap(),
        client.get("/v2/models/cole_kripke").await.unwrap(),
        client.post(INFER, &short_request()).await.unwrap(),
        client
            .post("/v2/models/cole_kripke/versions/1/infer", &short_request())
            .await
            .unwrap(),
    ] {
        response.assert_problem(503, "model_loading");
        assert_eq!(response.json()["model"], "cole_kripke");
        assert_eq!(response.retry_after(), Some(1));
    }
    faulty.set(Behaviour::Normal);
    faulty.release();
    server.models().settled().await;
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().body,
        SHORT_ANSWER
    );
}
