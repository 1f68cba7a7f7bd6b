//! Shutdowns that lose no request.

use clarity::Server;
use clarity_testbed::*;
use tokio::io::AsyncReadExt as _;

const READY: &str = "/v2/health/ready";
/// A complete request.
const LIVE: &str = "GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n";

async fn connect(server: &Server) -> Connection {
    Connection::open(server.local_addr()).await.unwrap()
}

#[tokio::test]
async fn announced_shutdown_is_not_ready_and_answers_on() {
    let _clock = ManualClock::start();
    let (server, client) = serve(&Repository::temporary_with_model()).await;
    let mut kept = connect(&server).await;
    kept.send(LIVE).await.unwrap();
    let response = kept.read_response().await.unwrap();
    assert!(!response.contains("connection: close"), "{response}");

    server.announce_shutdown();
    kept.send(LIVE).await.unwrap();
    let response = kept.read_response().await.unwrap();
    assert!(response.contains("connection: close"), "{response}");
    assert_eq!(kept.read_to_end().await.unwrap(), b"");
    for path in [READY, "/v2/models/cole_kripke/ready"] {
        let ready = client.get(path).await.unwrap();
        ready.assert_problem(503, "shutting_down");
        assert_eq!(ready.headers["connection"], "close");
    }
    for _ in 0..3 {
        let client = Client::new(server.local_addr());
        let answer = client.post(INFER, &short_request()).await.unwrap();
        assert_eq!(answer.body, SHORT_ANSWER);
    }
    assert!(within("the shutdown", server.shutdown()).await);
}

/// The connection is kept: its first request was answered before.
#[tokio::test]
async fn shutdown_answers_a_later_head_that_is_completed_in_time() {
    let clock = ManualClock::start();
    let (server, _client) = serve(&Repository::temporary_with_model()).await;
    let mut kept = connect(&server).await;
    kept.send(LIVE).await.unwrap();
    kept.read_response().await.unwrap();
    let (start, end) = LIVE.split_at(10);
    kept.send(start).await.unwrap();
    // The half request was sent before the complete one, which the server has answered.
    let mut other = connect(&server).await;
    other.send(LIVE).await.unwrap();
    assert_eq!(other.read_status().await.unwrap(), 200);
    let shutdown = tokio::spawn(server.shutdown());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    clock.advance(0.9).await;
    kept.send(end).await.unwrap();
    let response = kept.read_response().await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(response.contains("connection: close"), "{response}");
    assert!(within("the shutdown", shutdown).await.unwrap());
}

/// The drain begins before the server has accepted the connections: the test runs on one thread,
/// and does not yield.
#[tokio::test]
async fn shutdown_answers_connections_that_wait_to_be_accepted() {
    use std::io::Write as _;

    for _ in 0..10 {
        let (server, _client) = serve(&Repository::temporary_with_model()).await;
        let mut waiting = Vec::new();
        for _ in 0..10 {
            let mut stream = std::net::TcpStream::connect(server.local_addr()).unwrap();
            stream.write_all(LIVE.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            waiting.push(tokio::net::TcpStream::from_std(stream).unwrap());
        }
        let shutdown = tokio::spawn(server.shutdown());
        for mut stream in waiting {
            let mut start = [0; 12];
            let read = within("an answer", stream.read_exact(&mut start)).await;
            read.expect("the connection was not reset");
            assert_eq!(&start, b"HTTP/1.1 200");
        }
        assert!(within("the shutdown", shutdown).await.unwrap());
    }
}

#[cfg(unix)]
mod signals {
    use std::io::Read as _;
    use std::process::Command;

    use clarity_testbed::*;

    use super::READY;
    use crate::CLARITY;

    fn signal(server: &ServerProcess, signal: &str) {
        let pid = server.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success(), "{sent}");
    }

    /// Waits for exit code 0, and returns the log.
    async fn ended(mut server: ServerProcess) -> String {
        let ended = until_some("the end of the server", async || {
            server.child.try_wait().unwrap()
        });
        assert_eq!(ended.await.code(), Some(0));
        let mut log = String::new();
        let stderr = server.child.stderr.take();
        stderr.unwrap().read_to_string(&mut log).unwrap();
        log
    }

    #[tokio::test]
    async fn sigterm_is_announced_and_a_second_signal_ends_the_delay() {
        let models = Repository::temporary_with_model();
        let flags = ["--drain-delay", "1h", "--log-format", "json"];
        for second in ["-TERM", "-INT"] {
            let server = ServerProcess::start(CLARITY, models.root(), &flags);
            server.until_status(200).await;
            signal(&server, "-TERM");
            until_some("the announcement", async || {
                let ready = server.client.get(READY).await.unwrap();
                (ready.status == 503).then(|| ready.assert_problem(503, "shutting_down"))
            })
            .await;
            for _ in 0..20 {
                let client = Client::new(server.client.server());
                let answer = client.post(INFER, &short_request()).await.unwrap();
                assert_eq!(answer.body, SHORT_ANSWER);
                assert_eq!(answer.headers["connection"], "close");
            }
            signal(&server, second);
            let log = ended(server).await;
            assert!(log.contains(r#""longest_shutdown":"3645s""#), "{log}");
        }
    }

    #[tokio::test]
    async fn sigint_skips_the_delay() {
        let models = Repository::temporary_with_model();
        let server = ServerProcess::start(CLARITY, models.root(), &["--drain-delay", "1h"]);
        server.until_status(200).await;
        signal(&server, "-INT");
        ended(server).await;
    }
}
