//! What clients can hold of a server that send slowly, read slowly, send much or do nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::faulty::{Faulty, Mood};
use crate::support::onnx::{OPEN, model, node, value};
use crate::support::*;
use clarity::{BlockingPool, Executor, Inline, Job, JobKind, Overloaded, Server};
use rten_onnx::onnx::DataType;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.local_addr()).await.unwrap()
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Reads until the other side has closed, which takes time to run out.
async fn read_to_the_end(mut stream: TcpStream, clock: &ManualClock, seconds: f64) -> String {
    let reading = tokio::spawn(async move {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    });
    for _ in 0..100_000 {
        if reading.is_finished() {
            return reading.await.unwrap();
        }
        // The server may not have taken the connection yet: then there is no timer yet either.
        clock.run_out(seconds).await;
        tokio::task::yield_now().await;
    }
    panic!("the connection was not closed");
}

#[tokio::test]
async fn a_connection_without_a_whole_head_is_closed() {
    let clock = ManualClock::start();
    let (server, _client) = serve(&Models::cole_kripke()).await;
    for sent in ["", "GET /v2 HTTP/1.1\r\nhost:"] {
        let mut stream = connect(&server).await;
        send(&mut stream, sent).await;
        assert_eq!(read_to_the_end(stream, &clock, 60.0).await, "", "{sent:?}");
    }
}

#[tokio::test]
async fn a_connection_without_another_request_is_closed_and_not_before_its_time() {
    let clock = ManualClock::start();
    let (server, _client) = serve(&Models::cole_kripke()).await;
    let mut stream = connect(&server).await;
    let request = "GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut answer = vec![0; 12];
    for _ in 0..3 {
        send(&mut stream, request).await;
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 200");
        while !answer.ends_with(b"\r\n\r\n{\"live\":true}") {
            answer.push(stream.read_u8().await.unwrap());
        }
        answer.truncate(12);
        clock.advance(59.0).await;
    }
    assert_eq!(read_to_the_end(stream, &clock, 60.0).await, "");
}

/// The time without a request begins anew when the answer has been sent, also when it ran out meanwhile.
#[tokio::test]
async fn a_connection_is_closed_in_its_time_after_an_answer_that_took_longer() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    let mut config = config();
    config.idle = std::time::Duration::from_secs(1);
    let builder = Server::builder(models.root()).config(config);
    let (server, _client) = start(builder.runtime(faulty.runtime())).await;
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let mut stream = connect(&server).await;
    let body = short_request().to_string();
    let length = body.len();
    let head = format!("POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    send(&mut stream, &(head + &body)).await;
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    clock.run_out(5.0).await;
    faulty.release();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let rest = read_to_the_end(stream, &clock, 2.0).await;
    assert!(rest.ends_with(SHORT_ANSWER), "{rest}");
}

/// While the model works the client has nothing to send.
#[tokio::test]
async fn a_connection_that_waits_for_its_answer_is_not_idle() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    let mut config = config();
    config.idle = std::time::Duration::from_secs(1);
    let builder = Server::builder(models.root()).config(config);
    let (_server, client) = start(builder.runtime(faulty.runtime())).await;
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let waiting = tokio::spawn(async move { client.post(INFER, &short_request()).await });
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    clock.run_out(29.0).await;
    faulty.release();
    assert_eq!(waiting.await.unwrap().body, SHORT_ANSWER);
}

async fn open_with_a_small_window(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(address).await.unwrap()
}

/// A model that gives back what it is given.
fn copy() -> Models {
    let models = Models::empty();
    let [x, y] = ["x", "y"].map(|name| value(name, DataType::UINT8, &[OPEN]));
    let copy = model(vec![x], vec![node("Identity", &["x"], "y")], vec![y]);
    models.publish("copy", &copy);
    models
}

/// More than the operating system takes of an answer that nobody reads.
const SIZE: usize = 4 << 20;

/// A request to `copy` whose answer has 2 bytes for each of these.
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

/// One connection at a time: the next is served when the client that does not read has lost its own.
#[tokio::test]
async fn a_client_that_does_not_take_its_answer_loses_its_connection_and_its_room() {
    let clock = ManualClock::start();
    let mut config = config();
    config.connections = 1;
    config.memory_limit = 24 << 20;
    let models = copy();
    let (server, _client) = serve_with(&models, config, Inline).await;
    let mut start = [0; 12];
    let mut deaf = open_with_a_small_window(server.local_addr()).await;
    deaf.write_all(&copy_request("keep-alive")).await.unwrap();
    deaf.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    let mut next = connect(&server).await;
    send(
        &mut next,
        "GET /v2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    let next = read_to_the_end(next, &clock, 60.0).await;
    assert!(next.starts_with("HTTP/1.1 200"), "{next}");
    let mut next = connect(&server).await;
    next.write_all(&copy_request("close")).await.unwrap();
    let mut answer = Vec::new();
    next.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    assert!(answer.len() > 2 * SIZE, "all of it");
    drop(deaf);
}

/// A request is under way until its answer is written, and not only until it is known.
#[tokio::test]
async fn a_shutdown_waits_for_a_client_that_reads_slowly() {
    let clock = ManualClock::start();
    let models = copy();
    let (server, _client) = serve(&models).await;
    let mut slow = open_with_a_small_window(server.local_addr()).await;
    slow.write_all(&copy_request("keep-alive")).await.unwrap();
    let mut answer = vec![0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    let shutdown = tokio::spawn(server.shutdown());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    clock.run_out(30.0).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    slow.read_to_end(&mut answer).await.unwrap();
    assert!(answer.len() > 2 * SIZE, "all of it");
    assert!(shutdown.await.unwrap());
}

#[tokio::test]
async fn connections_over_the_limit_wait_until_one_ends() {
    let mut config = config();
    config.connections = 2;
    let (server, _) = serve_with(&Models::cole_kripke(), config, Inline).await;
    let request = "GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut answer = [0; 12];
    let mut connections = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(&server).await;
        send(&mut stream, request).await;
        stream.read_exact(&mut answer).await.unwrap();
        connections.push(stream);
    }
    let mut third = connect(&server).await;
    send(&mut third, request).await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        let nothing = third.try_read(&mut answer).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    }
    connections.pop();
    third.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

/// Nothing is lost that was asked for, and nobody is waited for who has asked for nothing.
#[tokio::test]
async fn a_head_that_is_half_sent_does_not_hold_a_shutdown_up() {
    let clock = ManualClock::start();
    let (server, _client) = serve(&Models::cole_kripke()).await;
    let mut half = connect(&server).await;
    send(&mut half, "GET /v2/health/live HTTP/1.1\r\nhost: x\r\n").await;
    let mut whole = connect(&server).await;
    send(
        &mut whole,
        "GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n",
    )
    .await;
    let mut answer = [0; 12];
    // The half was sent before the whole, which is answered now.
    whole.read_exact(&mut answer).await.unwrap();
    let shutdown = tokio::spawn(server.shutdown());
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(
        !shutdown.is_finished(),
        "the rest of the head may be on its way"
    );
    clock.run_out(1.0).await;
    assert!(shutdown.await.unwrap(), "no request was cut");
    assert_eq!(half.read(&mut answer).await.unwrap(), 0);
}

#[tokio::test]
async fn the_rest_of_a_head_is_waited_for_at_a_shutdown_for_a_moment() {
    let clock = ManualClock::start();
    let (server, _client) = serve(&Models::cole_kripke()).await;
    let mut half = connect(&server).await;
    send(&mut half, "GET /v2/health/live HTTP/1.1\r\nhost: x\r\n").await;
    let mut whole = connect(&server).await;
    send(
        &mut whole,
        "GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n",
    )
    .await;
    let mut answer = [0; 12];
    whole.read_exact(&mut answer).await.unwrap();
    let shutdown = tokio::spawn(server.shutdown());
    tokio::task::yield_now().await;
    clock.advance(0.9).await;
    send(&mut half, "\r\n").await;
    half.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert!(shutdown.await.unwrap());
}

/// The room is that of all bodies together, whatever they are for.
#[tokio::test]
async fn a_body_without_room_beside_others_is_shed_before_it_is_read() {
    let clock = ManualClock::start();
    let mut config = config();
    config.body_limit = 64 << 10;
    config.memory_limit = 64 << 10;
    let (server, client) = serve_with(&Models::cole_kripke(), config, Inline).await;
    let mut slow = connect(&server).await;
    let head = |length: usize| {
        format!(
            "POST {INFER} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    send(&mut slow, &head(60 << 10)).await;
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    assert_eq!(
        client.post(INFER, &short_request()).await.status,
        200,
        "small ones have room"
    );

    let mut shed = connect(&server).await;
    send(&mut shed, &head(5 << 10)).await;
    shed.read_exact(&mut answer).await.unwrap();
    assert_eq!(
        &answer, b"HTTP/1.1 503",
        "and it is not asked to send its body"
    );
    assert_eq!(metric(&server, "requests_shed_total"), 1.0);

    let slow = read_to_the_end(slow, &clock, 30.0).await;
    assert!(slow.contains("HTTP/1.1 408"), "{slow}");
    let body = format!("{:5120}", short_request());
    let response = client.post_text(INFER, body).await;
    assert_eq!(response.status, 200, "there is room again: {response:?}");
}

#[tokio::test]
async fn an_answer_without_room_is_refused() {
    let mut config = config();
    config.body_limit = 8 << 10;
    config.memory_limit = 8 << 10;
    let (server, client) = serve_with(&Models::cole_kripke(), config, Inline).await;
    let response = client.post(INFER, &minutes(&[0.0; 500])).await;
    response.assert_problem(413, "payload_too_large");
    response.assert_says("the answer needs");
    assert_eq!(client.post(INFER, &short_request()).await.status, 200);
    let breaker = server.models().breaker("cole_kripke").unwrap();
    assert_eq!(breaker.consecutive_failures, 0);
}

/// No place for its prediction: then its body is not waited for either.
#[tokio::test]
async fn load_is_shed_before_the_body_is_read() {
    let models = Models::cole_kripke();
    let faulty = Faulty::new();
    let builder = Server::builder(models.root())
        .config(config())
        .runtime(faulty.runtime());
    let (server, client) = start(builder.executor(BlockingPool::new(1))).await;
    faulty.set(Mood::Hang);
    let runs = faulty.runs();
    let under_way = tokio::spawn(async move { client.post(INFER, &short_request()).await });
    while faulty.runs() == runs {
        tokio::task::yield_now().await;
    }
    let mut shed = connect(&server).await;
    send(
        &mut shed,
        &format!("POST {INFER} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n"),
    )
    .await;
    let mut answer = [0; 12];
    shed.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
    faulty.release();
    assert_eq!(under_way.await.unwrap().body, SHORT_ANSWER);
}

/// Counts the jobs that are for texts rather than for models.
#[derive(Clone, Debug, Default)]
struct Transcodings(Arc<AtomicUsize>);

impl Executor for Transcodings {
    fn execute(&self, job: Job) -> Result<(), Overloaded> {
        let transcodes = job.kind() == JobKind::Transcode;
        self.0.fetch_add(usize::from(transcodes), Ordering::SeqCst);
        Inline.execute(job)
    }
}

#[tokio::test]
async fn large_bodies_are_read_and_written_by_the_executor_and_small_ones_at_once() {
    let transcodings = Transcodings::default();
    let models = Models::cole_kripke();
    let (_server, client) = serve_with(&models, config(), transcodings.clone()).await;
    assert_eq!(client.post(INFER, &short_request()).await.status, 200);
    assert_eq!(transcodings.0.load(Ordering::SeqCst), 0);
    let long = minutes(&[1.0; 40_000]);
    assert_eq!(client.post(INFER, &long).await.status, 200);
    assert_eq!(transcodings.0.load(Ordering::SeqCst), 2);
}

/// hyper lets nobody add a body to these.
#[tokio::test]
async fn what_is_not_http_is_4xx_and_the_end_of_the_connection() {
    let clock = ManualClock::start();
    let (server, _client) = serve(&Models::cole_kripke()).await;
    let long = format!("GET /v2 HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    for (sent, status) in [("not http\r\n\r\n", "400"), (&long, "431")] {
        let mut stream = connect(&server).await;
        // The server may have closed before it is all sent.
        let _ = stream.write_all(sent.as_bytes()).await;
        let answer = read_to_the_end(stream, &clock, 0.0).await;
        // A reset may overtake the answer when there was more to read.
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) || sent.len() > 1000,
            "{answer}"
        );
    }
    assert_eq!(
        Client::new(server.local_addr()).get("/v2").await.status,
        200
    );
}
