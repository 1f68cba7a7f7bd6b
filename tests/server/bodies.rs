//! Request and response bodies: their memory is bounded, and a client that reads nothing soon loses
//! its share of that memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clarity::{BlockingPool, Executor, Inline, Job, JobKind, Overloaded, Server};
use serde_json::json;

use clarity_testbed::onnx::{DataType, OPEN, model, node, value};
use clarity_testbed::*;

async fn connect(server: &Server) -> Connection {
    Connection::open(server.local_addr()).await.unwrap()
}

/// Publishes a model whose output equals its input.
fn copy() -> Repository {
    let models = Repository::temporary();
    let [x, y] = ["x", "y"].map(|name| value(name, DataType::UINT8, &[OPEN]));
    let copy = model(vec![x], vec![node("Identity", &["x"], "y")], vec![y]);
    models.publish("copy", &copy);
    models
}

/// The size of a response, in bytes, that exceeds the buffers of the operating system.
const SIZE: usize = 4 << 20;

/// A request to `copy` for [`SIZE`] bytes. The answer is JSON, with two characters for each of
/// these bytes.
fn copy_request(connection: &str) -> Vec<u8> {
    let json = json!({
        "inputs": [{ "name": "x", "datatype": "UINT8", "shape": [SIZE], "parameters": { "binary_data_size": SIZE } }],
    })
    .to_string();
    let head = format!(
        "POST /v2/models/copy/infer HTTP/1.1\r\nhost: x\r\nconnection: {connection}\r\ninference-header-content-length: {}\r\ncontent-length: {}\r\n\r\n{json}",
        json.len(),
        json.len() + SIZE
    );
    [head.as_bytes(), &vec![1; SIZE]].concat()
}

/// The server allows one connection at a time. The next client is served once the first has lost
/// its connection.
#[tokio::test]
async fn client_that_does_not_read_loses_connection_and_memory() {
    let clock = ManualClock::start();
    let mut config = config();
    config.connections = 1;
    config.memory_limit = (24 << 20) + config.connection_memory();
    let models = copy();
    let (server, _client) = serve_with(&models, config, Inline).await;
    let deaf = Connection::open_with_small_window(server.local_addr()).await;
    let mut deaf = deaf.unwrap();
    deaf.send(copy_request("keep-alive")).await.unwrap();
    assert_eq!(deaf.read_status().await.unwrap(), 200);
    let mut next = connect(&server).await;
    next.send("GET /v2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let response = next.read_while_advancing(&clock, 60.0).await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    let mut next = connect(&server).await;
    next.send(copy_request("close")).await.unwrap();
    assert_eq!(next.read_status().await.unwrap(), 200);
    let rest = next.read_to_end().await.unwrap();
    assert!(rest.len() > 2 * SIZE, "{} bytes", rest.len());
    drop(deaf);
}

/// A request counts as under way until its response is written.
#[tokio::test]
async fn shutdown_waits_for_a_client_that_reads_slowly() {
    let clock = ManualClock::start();
    let models = copy();
    let (server, _client) = serve(&models).await;
    let slow = Connection::open_with_small_window(server.local_addr()).await;
    let mut slow = slow.unwrap();
    slow.send(copy_request("keep-alive")).await.unwrap();
    assert_eq!(slow.read_status().await.unwrap(), 200);
    let shutdown = tokio::spawn(server.shutdown());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    clock.run_out(30.0).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let rest = slow.read_to_end().await.unwrap();
    assert!(rest.len() > 2 * SIZE, "{} bytes", rest.len());
    assert!(
        within("the shutdown", shutdown).await.unwrap(),
        "a response was cut"
    );
}

/// The memory limit applies to all bodies together.
#[tokio::test]
async fn body_over_the_memory_limit_is_shed_before_it_is_read() {
    let clock = ManualClock::start();
    let mut config = config();
    config.body_limit = 64 << 10;
    config.memory_limit = (64 << 10) + config.connection_memory();
    let (server, client) = serve_with(&Repository::temporary_with_model(), config, Inline).await;
    let mut slow = connect(&server).await;
    slow.send(expecting_head(INFER, 60 << 10)).await.unwrap();
    assert_eq!(slow.read_status().await.unwrap(), 100);
    // A small body fits into the remaining memory.
    let response = client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(response.status, 200);

    let mut shed = connect(&server).await;
    shed.send(expecting_head(INFER, 5 << 10)).await.unwrap();
    assert_eq!(shed.read_status().await.unwrap(), 503);
    assert_eq!(metric(&server, "requests_shed_total"), 1.0);

    let response = slow.read_while_advancing(&clock, 30.0).await;
    assert!(response.contains("HTTP/1.1 408"), "{response}");
    // A new client, since the first client's idle connection may have been closed.
    let client = Client::new(server.local_addr());
    let body = format!("{:5120}", short_request().to_string());
    let response = client.post_text(INFER, body).await.unwrap();
    assert_eq!(response.status, 200, "no memory was released: {response:?}");
}

#[tokio::test]
async fn answer_over_the_memory_limit_is_413() {
    let mut config = config();
    config.body_limit = 8 << 10;
    config.memory_limit = (8 << 10) + config.connection_memory();
    let (server, client) = serve_with(&Repository::temporary_with_model(), config, Inline).await;
    let large = cole_kripke::request(&[0.0; 500]);
    assert!(large.to_string().len() < 8 << 10, "the request itself fits");
    let response = client.post(INFER, &large).await.unwrap();
    response.assert_problem(413, "payload_too_large");
    let response = client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(response.status, 200);
    let breaker = server.models().breaker("cole_kripke").unwrap();
    assert_eq!(breaker.consecutive_failures, 0);
}

/// Without capacity for a prediction, the server does not wait for the request body.
#[tokio::test]
async fn prediction_without_capacity_is_shed_before_its_body() {
    let models = Repository::temporary_with_model();
    let faulty = FaultSwitch::new();
    let builder = Server::builder(models.root())
        .config(config())
        .runtime(faulty.runtime());
    let (server, client) = start(builder.executor(BlockingPool::new(1))).await;
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let under_way =
        tokio::spawn(async move { client.post(INFER, &short_request()).await.unwrap() });
    faulty.until_runs(runs + 1).await;
    let mut shed = connect(&server).await;
    shed.send(expecting_head(INFER, 100)).await.unwrap();
    assert_eq!(shed.read_status().await.unwrap(), 503);
    faulty.release();
    assert_eq!(under_way.await.unwrap().body, SHORT_ANSWER);
}

/// Counts the jobs that convert between bodies and tensors, and runs every job inline.
#[derive(Clone, Debug, Default)]
pub(crate) struct TranscodeCounter(pub(crate) Arc<AtomicUsize>);

impl Executor for TranscodeCounter {
    fn execute(&self, job: Job) -> Result<(), Overloaded> {
        let transcodes = job.kind() == JobKind::Transcode;
        self.0.fetch_add(usize::from(transcodes), Ordering::SeqCst);
        Inline.execute(job)
    }
}

#[tokio::test]
async fn large_bodies_are_transcoded_by_the_executor() {
    let transcodes = TranscodeCounter::default();
    let models = Repository::temporary_with_model();
    let (_server, client) = serve_with(&models, config(), transcodes.clone()).await;
    let response = client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(transcodes.0.load(Ordering::SeqCst), 0);
    let long = cole_kripke::request(&[1.0; 40_000]);
    let response = client.post(INFER, &long).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(transcodes.0.load(Ordering::SeqCst), 2);
}
