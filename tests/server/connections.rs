//! Connections that send slowly, send nothing, or send no HTTP: each ends at its timeout.

use std::time::Duration;

use clarity::Server;
use clarity_testbed::*;

/// A complete request.
const LIVE: &str = "GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n";
/// The request [`LIVE`] without the end of its head.
const HALF_A_HEAD: &str = "GET /v2/health/live HTTP/1.1\r\nhost: x\r\n";

async fn connect(server: &Server) -> Connection {
    Connection::open(server.local_addr()).await.unwrap()
}

/// A server with an idle timeout of one second, a client, and the switch of the models' behaviour.
async fn serve_impatiently(models: &Repository) -> (Server, Client, FaultSwitch) {
    let faulty = FaultSwitch::new();
    let mut config = config();
    config.idle = Duration::from_secs(1);
    let builder = Server::builder(models.root()).config(config);
    let (server, client) = start(builder.runtime(faulty.runtime())).await;
    (server, client, faulty)
}

#[tokio::test]
async fn connection_without_a_whole_head_is_closed() {
    let clock = ManualClock::start();
    let (server, _client) = serve(&Repository::temporary_with_model()).await;
    for sent in ["", "GET /v2 HTTP/1.1\r\nhost:"] {
        let mut connection = connect(&server).await;
        connection.send(sent).await.unwrap();
        let rest = connection.read_while_advancing(&clock, 60.0).await;
        assert_eq!(rest, "", "{sent:?}");
    }
}

#[tokio::test]
async fn idle_connection_is_closed_after_its_time_and_not_before() {
    let clock = ManualClock::start();
    let (server, _client) = serve(&Repository::temporary_with_model()).await;
    let mut connection = connect(&server).await;
    for _ in 0..3 {
        connection.send(LIVE).await.unwrap();
        let response = connection.read_response().await.unwrap();
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        assert!(response.ends_with(r#"{"live":true}"#), "{response}");
        clock.advance(59.0).await;
    }
    assert_eq!(connection.read_while_advancing(&clock, 60.0).await, "");
}

/// The idle time starts at the end of an answer, even if the request took longer than the idle
/// timeout.
#[tokio::test]
async fn idle_time_starts_at_the_end_of_a_slow_answer() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let (server, _client, faulty) = serve_impatiently(&models).await;
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let mut connection = connect(&server).await;
    let body = short_request().to_string();
    let request = post_head(INFER, body.len()) + &body;
    connection.send(request).await.unwrap();
    faulty.until_runs(runs + 1).await;
    clock.run_out(5.0).await;
    faulty.release();
    let answer = connection.read_response().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with(SHORT_ANSWER), "{answer}");
    assert_eq!(connection.read_while_advancing(&clock, 2.0).await, "");
}

/// While the model runs, the client has nothing to send.
#[tokio::test]
async fn connection_that_waits_for_its_answer_is_not_idle() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let (_server, client, faulty) = serve_impatiently(&models).await;
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let waiting = tokio::spawn(async move { client.post(INFER, &short_request()).await.unwrap() });
    faulty.until_runs(runs + 1).await;
    clock.run_out(29.0).await;
    faulty.release();
    assert_eq!(waiting.await.unwrap().body, SHORT_ANSWER);
}

#[tokio::test]
async fn shutdown_waits_a_second_for_the_rest_of_a_head() {
    let clock = ManualClock::start();
    let (server, _client) = serve(&Repository::temporary_with_model()).await;
    let mut half = connect(&server).await;
    half.send(HALF_A_HEAD).await.unwrap();
    // The half request was sent before the complete one, which the server has answered.
    let mut whole = connect(&server).await;
    whole.send(LIVE).await.unwrap();
    assert_eq!(whole.read_status().await.unwrap(), 200);
    let shutdown = tokio::spawn(server.shutdown());
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(!shutdown.is_finished(), "half a head is not waited for");
    clock.run_out(1.0).await;
    assert!(
        within("the shutdown", shutdown).await.unwrap(),
        "a request was cut"
    );
    assert_eq!(half.read_to_end().await.unwrap(), b"");
}

#[tokio::test]
async fn shutdown_answers_a_head_that_is_completed_in_time() {
    let clock = ManualClock::start();
    let (server, _client) = serve(&Repository::temporary_with_model()).await;
    let mut half = connect(&server).await;
    half.send(HALF_A_HEAD).await.unwrap();
    let mut whole = connect(&server).await;
    whole.send(LIVE).await.unwrap();
    assert_eq!(whole.read_status().await.unwrap(), 200);
    let shutdown = tokio::spawn(server.shutdown());
    tokio::task::yield_now().await;
    clock.advance(0.9).await;
    half.send("\r\n").await.unwrap();
    assert_eq!(half.read_status().await.unwrap(), 200);
    assert!(
        within("the shutdown", shutdown).await.unwrap(),
        "a request was cut"
    );
}

/// hyper itself answers malformed heads, without a body.
#[tokio::test]
async fn malformed_head_is_4xx_and_ends_the_connection() {
    let clock = ManualClock::start();
    let (server, _client) = serve(&Repository::temporary_with_model()).await;
    let many = format!("GET /v2 HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    let long = format!("GET /v2 HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    for (sent, status) in [("not http\r\n\r\n", 400), (&many, 431), (&long, 431)] {
        let mut connection = connect(&server).await;
        for piece in sent.as_bytes().chunks(8 << 10) {
            // An error means that the server answered and closed the connection before it got all
            // bytes.
            if connection.send(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(connection.read_status().await.unwrap(), status);
        connection.read_while_advancing(&clock, 0.0).await;
    }
    let client = Client::new(server.local_addr());
    assert_eq!(client.get("/v2").await.unwrap().status, 200);
}
