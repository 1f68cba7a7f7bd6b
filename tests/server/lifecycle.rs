//! What is slow: a first load, a model, a body, a shutdown.

use crate::support::faulty::{Faulty, Mood};
use crate::support::*;
use clarity::{BlockingPool, Server};

#[tokio::test]
async fn a_model_that_does_not_answer_in_time_is_504_and_keeps_its_place_in_the_pool() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    let builder = Server::builder(models.root())
        .config(config())
        .runtime(faulty.runtime());
    let (server, client) = start(builder.executor(BlockingPool::new(1))).await;
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.post(INFER, &short_request()).await }
    });
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    let shed = client.post(INFER, &short_request()).await;
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
        "late is a failure, shed is not"
    );
    client
        .post(INFER, &short_request())
        .await
        .assert_problem(503, "overloaded");
    assert_eq!(metric(&server, "requests_shed_total"), 2.0);
    faulty.set(Mood::Well);
    faulty.release();
    while client.post(INFER, &short_request()).await.status != 200 {
        tokio::task::yield_now().await;
    }
}

/// A body that stops half-way must not be waited for without end, and is not the model's fault.
#[tokio::test]
async fn a_body_that_does_not_arrive_is_408() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let clock = ManualClock::start();
    let (server, _client) = serve(&Models::cole_kripke()).await;
    let mut stream = tokio::net::TcpStream::connect(server.local_addr())
        .await
        .unwrap();
    stream
        .write_all(
            format!("POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{").as_bytes(),
        )
        .await
        .unwrap();
    let series = r#"prediction_failure_total{model="cole_kripke",reason="request_timeout"}"#;
    let mut answer = vec![0; 12];
    while metric(&server, series) == 0.0 {
        // The server may not have read the head yet: then there is no timer yet either.
        clock.run_out(30.0).await;
    }
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 408");
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
async fn a_client_that_goes_away_is_counted_and_is_no_failure() {
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    let (server, client) = start(
        Server::builder(models.root())
            .config(config())
            .runtime(faulty.runtime()),
    )
    .await;
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let waiting = tokio::spawn(async move { client.post(INFER, &short_request()).await });
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    while metric(
        &server,
        r#"prediction_failure_total{model="cole_kripke",reason="cancelled"}"#,
    ) == 0.0
    {
        tokio::task::yield_now().await;
    }
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
async fn a_shutdown_answers_what_is_under_way_and_refuses_what_comes_later() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    let (server, client) = start(
        Server::builder(models.root())
            .config(config())
            .runtime(faulty.runtime()),
    )
    .await;
    let address = server.local_addr();
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let under_way = tokio::spawn(async move { client.post(INFER, &short_request()).await });
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    let shutdown = tokio::spawn(server.shutdown());
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    // Longer than a head that is half sent is waited for.
    clock.run_out(20.0).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    faulty.release();
    assert_eq!(under_way.await.unwrap().body, SHORT_ANSWER);
    assert!(shutdown.await.unwrap(), "nothing was cut");
}

/// A body that takes all its time, and then a model that does: together more than a shutdown waits for.
#[tokio::test]
async fn a_shutdown_does_not_wait_longer_than_it_may() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    let builder = Server::builder(models.root())
        .config(config())
        .runtime(faulty.runtime());
    let (server, _client) = start(builder).await;
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let mut stream = tokio::net::TcpStream::connect(server.local_addr())
        .await
        .unwrap();
    let body = short_request().to_string();
    let head = format!(
        "POST {INFER} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let shutdown = tokio::spawn(server.shutdown());
    tokio::task::yield_now().await;
    clock.advance(29.0).await;
    stream.write_all(body.as_bytes()).await.unwrap();
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    clock.run_out(16.0).await;
    assert!(!shutdown.await.unwrap(), "something was cut");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "the connection is gone");
    faulty.release();
}

/// The port answers while the first load is still under way.
#[tokio::test]
async fn a_model_that_is_still_loading_says_so_and_the_server_is_alive() {
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    faulty.set(Mood::Hang);
    let builder = Server::builder(models.root())
        .config(config())
        .runtime(faulty.runtime());
    let server = builder.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let client = Client::new(server.local_addr());
    assert_eq!(client.get("/v2/health/live").await.status, 200);
    for response in [
        client.get("/v2/health/ready").await,
        client.get("/v2/models/cole_kripke/ready").await,
        client.get("/v2/models/cole_kripke").await,
        client.post(INFER, &short_request()).await,
        client
            .post("/v2/models/cole_kripke/versions/1/infer", &short_request())
            .await,
    ] {
        response.assert_problem(503, "model_loading");
        assert_eq!(response.json()["model"], "cole_kripke");
        assert_eq!(response.retry_after(), Some(1));
    }
    faulty.set(Mood::Well);
    faulty.release();
    server.models().settled().await;
    assert_eq!(
        client.post(INFER, &short_request()).await.body,
        SHORT_ANSWER
    );
}
