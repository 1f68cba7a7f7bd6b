//! The connection limit: idle connections give way to new ones, and busy ones do not.

use std::io::ErrorKind;
use std::time::Duration;

use clarity::{Inline, Server};
use clarity_testbed::*;

/// A complete request.
const LIVE: &str = "GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n";
/// The request [`LIVE`] without the end of its head.
const HALF_A_HEAD: &str = "GET /v2/health/live HTTP/1.1\r\nhost: x\r\n";
const EVICTED: &str = "connections_evicted_total";

async fn serve_at_most(connections: usize, models: &Repository) -> Server {
    let mut config = config();
    config.connections = connections;
    serve_with(models, config, Inline).await.0
}

async fn connect(server: &Server) -> Connection {
    Connection::open(server.local_addr()).await.unwrap()
}

/// Connects, and gets an answer.
async fn connect_and_ask(server: &Server) -> Connection {
    let mut connection = connect(server).await;
    ask(&mut connection).await;
    connection
}

async fn ask(connection: &mut Connection) {
    connection.send(LIVE).await.unwrap();
    let response = connection.read_response().await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
}

/// Lets the server run, and asserts that the connection neither ends nor gets bytes.
async fn assert_silent(connection: &mut Connection) {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        let nothing = connection.stream().try_read(&mut [0; 12]).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    }
}

/// Advances the clock in small steps until the connection gets an answer, far earlier than any
/// other connection reaches its idle timeout.
async fn answered_while_advancing(mut connection: Connection, clock: &ManualClock) -> Connection {
    let started = tokio::time::Instant::now();
    let reading = tokio::spawn(async move {
        let response = connection.read_response().await.unwrap();
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        connection
    });
    until_some("an answer", async || {
        clock.run_out(0.05).await;
        // Lets the server work before the clock advances again.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        reading.is_finished().then_some(())
    })
    .await;
    let waited = started.elapsed();
    assert!(waited < Duration::from_secs(30), "{waited:?}");
    reading.await.unwrap()
}

#[tokio::test]
async fn longest_idle_connection_gives_way_to_a_new_one() {
    let clock = ManualClock::start();
    let server = serve_at_most(2, &Repository::temporary_with_model()).await;
    let mut first = connect_and_ask(&server).await;
    let mut second = connect_and_ask(&server).await;
    clock.advance(0.5).await;
    ask(&mut first).await;
    clock.advance(0.4).await;
    let mut third = connect(&server).await;
    third.send(LIVE).await.unwrap();
    // No connection has been idle for a second.
    assert_silent(&mut third).await;
    let _third = answered_while_advancing(third, &clock).await;
    assert_eq!(second.read_to_end().await.unwrap(), b"");
    ask(&mut first).await;
    assert_eq!(metric(&server, EVICTED), 1.0);
}

#[tokio::test]
async fn connection_with_a_request_does_not_give_way() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let faulty = FaultSwitch::new();
    let mut config = config();
    config.connections = 1;
    let builder = Server::builder(models.root()).config(config);
    let server = start(builder.runtime(faulty.runtime())).await.0;
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let mut busy = connect(&server).await;
    let body = short_request().to_string();
    busy.send(post_head(INFER, body.len()) + &body)
        .await
        .unwrap();
    faulty.until_runs(runs + 1).await;
    let mut next = connect(&server).await;
    next.send(LIVE).await.unwrap();
    for _ in 0..20 {
        clock.run_out(1.0).await;
        tokio::task::yield_now().await;
    }
    assert_silent(&mut next).await;
    assert_eq!(metric(&server, EVICTED), 0.0);
    faulty.release();
    let answer = busy.read_response().await.unwrap();
    assert!(answer.ends_with(SHORT_ANSWER), "{answer}");
    answered_while_advancing(next, &clock).await;
    assert_eq!(busy.read_to_end().await.unwrap(), b"");
}

/// Neither a connection without a byte nor one with half a head holds the place for long.
#[tokio::test]
async fn connections_without_a_whole_head_give_way() {
    let clock = ManualClock::start();
    let server = serve_at_most(1, &Repository::temporary_with_model()).await;
    for sent in ["", "G", HALF_A_HEAD] {
        let mut silent = connect(&server).await;
        silent.send(sent).await.unwrap();
        assert_silent(&mut silent).await;
        let mut next = connect(&server).await;
        next.send(LIVE).await.unwrap();
        let next = answered_while_advancing(next, &clock).await;
        assert_eq!(silent.read_to_end().await.unwrap_or_default(), b"");
        drop(next);
    }
}

/// The client of a connection with half a head has begun to use it.
#[tokio::test]
async fn idle_connections_give_way_before_one_with_half_a_head() {
    let clock = ManualClock::start();
    let server = serve_at_most(2, &Repository::temporary_with_model()).await;
    let mut half = connect(&server).await;
    half.send(HALF_A_HEAD).await.unwrap();
    assert_silent(&mut half).await;
    clock.advance(5.0).await;
    let mut idle = connect_and_ask(&server).await;
    clock.advance(2.0).await;
    let mut next = connect(&server).await;
    ask(&mut next).await;
    assert_eq!(idle.read_to_end().await.unwrap(), b"");
    half.send("\r\n").await.unwrap();
    assert_eq!(half.read_status().await.unwrap(), 200);
}

/// A request that arrives together with the eviction is answered.
#[tokio::test]
async fn request_that_has_arrived_keeps_its_connection() {
    let clock = ManualClock::start();
    let server = serve_at_most(1, &Repository::temporary_with_model()).await;
    let mut kept = connect_and_ask(&server).await;
    for _ in 0..20 {
        clock.advance(2.0).await;
        // The server runs only after both.
        let mut next = connect(&server).await;
        next.send(LIVE).await.unwrap();
        kept.send(LIVE).await.unwrap();
        let response = kept.read_response().await.unwrap();
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        kept = answered_while_advancing(next, &clock).await;
    }
}

/// Far more idle clients than the limit: a new client is served at once.
#[tokio::test]
async fn flood_of_idle_connections_does_not_keep_a_probe_waiting() {
    let clock = ManualClock::start();
    let server = serve_at_most(16, &Repository::temporary_with_model()).await;
    let mut flood = Vec::new();
    for _ in 0..16 {
        flood.push(connect_and_ask(&server).await);
    }
    clock.advance(1.0).await;
    for _ in 0..8 {
        let mut probe = connect(&server).await;
        probe.send(LIVE).await.unwrap();
        // Without any advance of the clock.
        assert_eq!(probe.read_status().await.unwrap(), 200);
        drop(probe);
    }
}
