//! Responses to requests whose body the server does not read to its end.

use clarity::{Inline, Server};
use clarity_testbed::*;

/// The size of a body, in bytes, that exceeds the buffers of the operating system.
const SIZE: usize = 16 << 20;

/// A server that takes bodies of at most 64 KiB.
async fn serve_small(models: &Repository) -> Server {
    let mut config = config();
    config.body_limit = 64 << 10;
    serve_with(models, config, Inline).await.0
}

/// Many clients send the whole body before they read the response.
#[tokio::test]
async fn client_that_sends_all_of_an_oversized_body_gets_413() {
    let server = serve_small(&Repository::temporary_with_model()).await;
    let sized = [post_head(INFER, SIZE).as_bytes(), &vec![b' '; SIZE]].concat();
    let chunked = [
        format!(
            "POST {INFER} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{SIZE:x}\r\n"
        )
        .as_bytes(),
        &vec![b' '; SIZE],
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    for request in [&sized, &chunked].repeat(5) {
        let mut connection = Connection::open(server.local_addr()).await.unwrap();
        let sent = connection.send(request);
        within("the body", sent).await.unwrap();
        let response = connection.read_to_end().await.unwrap();
        let response = String::from_utf8(response).unwrap();
        assert!(response.starts_with("HTTP/1.1 413"), "{response}");
        assert!(response.contains("connection: close"), "{response}");
        let detail = "expected a body of at most 65536 bytes";
        assert!(response.contains(detail), "{response}");
    }
}

/// The response comes before the rest of the body. The connection closes soon, even if the body
/// never ends.
#[tokio::test]
async fn client_that_never_ends_its_body_loses_its_connection() {
    let clock = ManualClock::start();
    let server = serve_small(&Repository::temporary_with_model()).await;
    let mut connection = Connection::open(server.local_addr()).await.unwrap();
    connection.send(post_head(INFER, SIZE)).await.unwrap();
    let response = connection.read_response().await.unwrap();
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    connection.send("a part of the body").await.unwrap();
    assert_eq!(connection.read_while_advancing(&clock, 5.0).await, "");
}
