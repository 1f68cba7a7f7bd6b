//! Compressed requests and responses.

use std::io::{Read as _, Write as _};
use std::sync::atomic::Ordering;

use clarity::{Inline, Server};
use clarity_testbed::*;
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::bodies::TranscodeCounter;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// Decompresses a response as its header `Content-Encoding` says.
fn decompress(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    match headers
        .get("content-encoding")
        .map(|coding| coding.as_bytes())
    {
        None => read.extend_from_slice(body),
        Some(b"gzip") => drop(GzDecoder::new(body).read_to_end(&mut read).unwrap()),
        Some(b"deflate") => drop(ZlibDecoder::new(body).read_to_end(&mut read).unwrap()),
        other => panic!("unknown coding {other:?}"),
    }
    read
}

async fn post(client: &Client, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let sent = client.send(Method::POST, INFER, headers, body.into());
    sent.await.unwrap()
}

async fn post_for_bytes(
    client: &Client,
    headers: &[(&str, &str)],
    body: &Value,
) -> (StatusCode, HeaderMap, Bytes) {
    let body = Bytes::from(body.to_string());
    let sent = client.send_for_bytes(&Method::POST, INFER, headers, body);
    sent.await.unwrap()
}

/// A request with a response of some 20 KB.
fn long_request() -> Value {
    cole_kripke::request(&[1.0; 1000])
}

#[tokio::test]
async fn compressed_request_gets_the_answer_of_the_plain_one() {
    let models = Repository::temporary_with_model();
    let (_server, client) = serve(&models).await;
    let body = short_request().to_string().into_bytes();
    for (coding, compressed) in [
        ("gzip", gzip(&body)),
        ("x-gzip", gzip(&body)),
        ("GZIP", [gzip(&body[..7]), gzip(&body[7..])].concat()),
        ("deflate", zlib(&body)),
        ("deflate", raw_deflate(&body)),
    ] {
        let answer = post(&client, &[("content-encoding", coding)], compressed).await;
        assert_eq!(answer.body, SHORT_ANSWER, "{coding}");
    }
    let index = client.send(
        Method::POST,
        "/v2/repository/index",
        &[("content-encoding", "gzip")],
        gzip(br#"{"ready": true}"#).into(),
    );
    assert_eq!(index.await.unwrap().json()[0]["state"], "READY");
}

/// The length of the JSON is a position in the decompressed body.
#[tokio::test]
async fn binary_request_and_response_are_compressed_as_a_whole() {
    let models = Repository::temporary_with_model();
    let (_server, client) = serve(&models).await;
    let activity = [1.0_f32; 1000];
    let bytes: Vec<u8> = activity
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let json = json!({
        "inputs": [{ "name": "activity", "datatype": "FP32", "shape": [1, 1000], "parameters": { "binary_data_size": bytes.len() } }],
        "parameters": { "binary_data_output": true },
    });
    let plain = client.post_binary(INFER, &json, &bytes).await.unwrap();
    let json = json.to_string();
    let length = json.len().to_string();
    let body = [json.as_bytes(), &bytes].concat();
    for (coding, body) in [("gzip", gzip(&body)), ("deflate", zlib(&body))] {
        let headers = [
            ("content-encoding", coding),
            ("accept-encoding", coding),
            ("inference-header-content-length", &length),
        ];
        let sent = client.send_for_bytes(&Method::POST, INFER, &headers, body.into());
        let (status, headers, body) = sent.await.unwrap();
        assert_eq!(status, 200);
        assert_eq!(headers["content-encoding"], coding);
        assert_eq!(headers["content-type"], "application/octet-stream");
        let whole = decompress(&headers, &body);
        assert!(body.len() < whole.len());
        let length = headers["inference-header-content-length"].to_str().unwrap();
        let (json, binary) = whole.split_at(length.parse().unwrap());
        assert_eq!(serde_json::from_slice::<Value>(json).unwrap(), plain.json);
        assert_eq!(binary, &plain.binary[..]);
    }
}

#[tokio::test]
async fn response_has_the_coding_that_the_client_prefers() {
    let models = Repository::temporary_with_model();
    let (_server, client) = serve(&models).await;
    let (_, _, plain) = post_for_bytes(&client, &[], &long_request()).await;
    for (accepted, coding) in [
        (None, None),
        (Some(""), None),
        (Some("gzip"), Some("gzip")),
        (Some("deflate"), Some("deflate")),
        (Some("gzip;q=0.5, deflate;q=0.6"), Some("deflate")),
        (Some("br;q=1, *;q=0.1"), Some("gzip")),
        (Some("gzip;q=0, deflate;q=0"), None),
        (Some("gzip;q=0.5, identity;q=1"), None),
        (Some("br, zstd"), None),
    ] {
        let header = accepted.map(|accepted| ("accept-encoding", accepted));
        let request = long_request();
        let sent = post_for_bytes(&client, header.as_slice(), &request);
        let (status, headers, body) = sent.await;
        assert_eq!(status, 200);
        let found = headers
            .get("content-encoding")
            .map(|found| found.to_str().unwrap());
        assert_eq!(found, coding, "{accepted:?}");
        assert_eq!(decompress(&headers, &body), plain, "{accepted:?}");
        assert_eq!(body.len() < plain.len() / 2, coding.is_some());
        assert_eq!(headers["vary"], "accept-encoding");
        assert_eq!(headers["content-length"], body.len().to_string());
    }
}

#[tokio::test]
async fn short_response_is_compressed_only_if_it_must_be() {
    let models = Repository::temporary_with_model();
    let (_server, client) = serve(&models).await;
    for (accepted, coding) in [
        ("gzip", None),
        ("gzip, identity;q=0", Some("gzip")),
        ("deflate, *;q=0", Some("deflate")),
    ] {
        let headers = [("accept-encoding", accepted)];
        let (_, headers, body) = post_for_bytes(&client, &headers, &short_request()).await;
        let found = headers
            .get("content-encoding")
            .map(|found| found.to_str().unwrap());
        assert_eq!(found, coding, "{accepted}");
        assert_eq!(decompress(&headers, &body), SHORT_ANSWER.as_bytes());
    }
}

/// The limit of the body holds before and after decompression.
#[tokio::test]
async fn decompressed_body_over_the_limit_is_413() {
    let mut config = config();
    config.body_limit = 32 << 10;
    config.memory_limit = (1 << 20) + config.connection_memory();
    let models = Repository::temporary_with_model();
    let (server, client) = serve_with(&models, config, Inline).await;
    let exactly = format!("{:32768}", short_request().to_string()).into_bytes();
    let over = [&exactly[..], b" "].concat();
    let bomb = vec![b' '; 32 << 20];
    for (coding, compress) in [
        ("gzip", gzip as fn(&[u8]) -> Vec<u8>),
        ("deflate", zlib),
        ("deflate", raw_deflate),
    ] {
        let headers = [("content-encoding", coding)];
        assert_eq!(
            post(&client, &headers, compress(&exactly)).await.status,
            200
        );
        for body in [&over, &bomb] {
            let refused = post(&client, &headers, compress(body)).await;
            refused.assert_problem(413, "payload_too_large");
            refused.assert_says("expected a body of at most 32768 bytes after decompression");
        }
    }
    // No request has kept memory, and none counts as a failure.
    let whole = post(&client, &[], exactly).await;
    assert_eq!(whole.status, 200, "{whole:?}");
    let breaker = server.models().breaker(MODEL).unwrap();
    assert_eq!(breaker.consecutive_failures, 0);
}

#[tokio::test]
async fn damaged_compressed_body_is_400() {
    let models = Repository::temporary_with_model();
    let (server, client) = serve(&models).await;
    let body = short_request().to_string().into_bytes();
    let mut flipped = gzip(&body);
    let crc = flipped.len() - 5;
    flipped[crc] ^= 1;
    let cut = |mut bytes: Vec<u8>| {
        bytes.pop();
        bytes
    };
    for (coding, body) in [
        ("gzip", body.clone()),
        ("gzip", Vec::new()),
        ("gzip", flipped),
        ("gzip", cut(gzip(&body))),
        ("gzip", [gzip(&body), b"x".to_vec()].concat()),
        ("gzip", zlib(&body)),
        ("deflate", gzip(&body)),
        ("deflate", cut(zlib(&body))),
        ("deflate", cut(raw_deflate(&body))),
        ("deflate", [zlib(&body), b"x".to_vec()].concat()),
        ("deflate", Vec::new()),
    ] {
        let refused = post(&client, &[("content-encoding", coding)], body).await;
        refused.assert_problem(400, "invalid_request");
        refused.assert_says(&format!("cannot decompress the {coding} body: "));
    }
    let breaker = server.models().breaker(MODEL).unwrap();
    assert_eq!(breaker.consecutive_failures, 0);
}

/// The compressed rest of the body is small, so the client can send its next request.
#[tokio::test]
async fn connection_of_a_refused_bomb_stays_open() {
    let models = Repository::temporary_with_model();
    let (server, _client) = serve(&models).await;
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let head = format!(
        "POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        bomb.len()
    );
    let mut connection = Connection::open(server.local_addr()).await.unwrap();
    let (first, rest) = bomb.split_at(bomb.len() / 2);
    let first = [head.as_bytes(), first].concat();
    connection.send(first).await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    connection.send(rest).await.unwrap();
    let refused = connection.read_response().await.unwrap();
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    assert!(!refused.contains("connection: close"), "{refused}");

    // The next body has an unknown length.
    let body = gzip(short_request().to_string().as_bytes());
    let (first, rest) = body.split_at(20);
    let chunk =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let head = format!(
        "POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let request = [head.into_bytes(), chunk(first), chunk(rest), chunk(&[])];
    connection.send(request.concat()).await.unwrap();
    let answer = connection.read_response().await.unwrap();
    assert!(answer.ends_with(SHORT_ANSWER), "{answer}");
}

/// A client that asks for compression gets a plain answer rather than an error.
#[tokio::test]
async fn response_is_plain_without_memory_to_compress_it() {
    let mut config = config();
    config.body_limit = 64 << 10;
    config.memory_limit = (128 << 10) + config.connection_memory();
    let models = Repository::temporary_with_model();
    let (_server, client) = serve_with(&models, config, Inline).await;
    let headers = [("accept-encoding", "gzip")];
    let (status, headers, _) = post_for_bytes(&client, &headers, &long_request()).await;
    assert_eq!(status, 200);
    assert!(!headers.contains_key("content-encoding"));
    let headers = [("accept-encoding", "gzip, identity;q=0")];
    let (status, ..) = post_for_bytes(&client, &headers, &long_request()).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn large_response_is_compressed_by_the_executor() {
    let transcodes = TranscodeCounter::default();
    let models = Repository::temporary_with_model();
    let builder = Server::builder(models.root()).config(config());
    let (_server, client) = start(builder.executor(transcodes.clone())).await;
    let request = cole_kripke::request(&[1.0; 4000]);
    for (headers, expected) in [(&[][..], 0), (&[("accept-encoding", "gzip")], 1)] {
        let (status, ..) = post_for_bytes(&client, headers, &request).await;
        assert_eq!(status, 200);
        assert_eq!(transcodes.0.load(Ordering::SeqCst), expected);
    }
}
