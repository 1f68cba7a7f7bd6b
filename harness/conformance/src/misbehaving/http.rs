//! Links that carry HTTP/1.1, with each kind of HTTP fault. Servers and clients are those of hyper,
//! curl and Python.

mod clients;
mod server;
mod unknown_framing;

use crate::waiting::PATIENCE;
use clarity_chaos::fault::{HttpSlowHead, HttpStatus, HttpTruncatedBody, Latency};
use clarity_chaos::network::{Direction, Link};
use clarity_chaos::{Context, Result, chaos};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use server::LENGTH;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

/// A delay that no test waits for.
const HOUR: Duration = Duration::from_secs(3600);

/// Connects hyper's client to a link.
async fn connect(link: &Link) -> Result<SendRequest<Empty<Bytes>>> {
    let stream = tokio::net::TcpStream::connect(link.addr()).await?;
    let (client, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Asks for a page, and reads the whole body.
async fn ask(client: &mut SendRequest<Empty<Bytes>>, path: &str) -> Result<Response<Bytes>> {
    let request = Request::get(path).header("host", "server");
    client.ready().await?;
    let asked = client.send_request(request.body(Empty::new())?);
    let (head, body) = tokio::time::timeout(PATIENCE, asked).await??.into_parts();
    let body = tokio::time::timeout(PATIENCE, body.collect()).await??;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// Replaces the second of three responses on one connection. All requests reach the server.
#[chaos(non_destructive)]
async fn status(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    let mut client = connect(&link).await?;
    assert_eq!(ask(&mut client, "/sized").await?.status(), 200);
    let overloaded = HttpStatus::new(&link).with_status(503).nth(2);
    let overloaded = overloaded.with_retry_after(Duration::from_millis(2500));
    let overloaded = cx.inject(overloaded)?;
    for (path, status) in [("/sized", 200), ("/chunked", 503), ("/sized", 200)] {
        let response = ask(&mut client, path).await?;
        assert_eq!(response.status(), status, "{path}");
        let retry_after = response.headers().get("retry-after");
        assert_eq!(retry_after.is_some_and(|time| time == "2"), status == 503);
        assert_eq!(response.body().len() == LENGTH, status == 200);
    }
    assert_eq!(server.requests(), 4);
    overloaded.undo();
    cx.inject(HttpStatus::new(&link).with_status(429))?.undo();
    assert_eq!(ask(&mut client, "/chunked").await?.body().len(), LENGTH);
    Ok(())
}

/// Truncates a body with a length, and a chunked body. The client gets an error, and a new
/// connection works.
#[chaos(non_destructive)]
async fn truncated_body(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    for path in ["/sized", "/chunked"] {
        for after in [0, 1, LENGTH as u64 - 1, LENGTH as u64, u64::MAX] {
            let mut client = connect(&link).await?;
            let cut = cx.inject(HttpTruncatedBody::new(&link).after(after))?;
            let error = ask(&mut client, path).await.unwrap_err();
            assert!(
                !error.to_string().contains("deadline"),
                "{path}, {after}: {error}"
            );
            cut.undo();
            let mut client = connect(&link).await?;
            assert_eq!(ask(&mut client, path).await?.body().len(), LENGTH);
        }
    }
    Ok(())
}

/// Each line of a response's head comes late. After the undo, the rest comes at once.
#[chaos(non_destructive)]
async fn slow_head(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    let mut client = connect(&link).await?;
    let delay = Duration::from_millis(30);
    for (slow, pieces) in [
        (HttpSlowHead::new(&link), 3),
        (HttpSlowHead::new(&link).by_bytes(), 40),
        (HttpSlowHead::new(&link).towards(Direction::ToServer), 3),
        (HttpSlowHead::new(&link).towards(Direction::Both), 6),
    ] {
        let slow = cx.inject(slow.with_delay(delay))?;
        let began = Instant::now();
        assert_eq!(ask(&mut client, "/sized").await?.body().len(), LENGTH);
        assert!(began.elapsed() >= pieces * delay, "{:?}", began.elapsed());
        slow.undo();
    }
    let slow = cx.inject(HttpSlowHead::new(&link).with_delay(HOUR))?;
    let asked = tokio::spawn(async move {
        Ok::<_, String>(
            ask(&mut client, "/chunked")
                .await
                .map_err(|error| error.to_string())?
                .status(),
        )
    });
    tokio::time::sleep(2 * delay).await;
    assert!(!asked.is_finished());
    slow.undo();
    assert_eq!(asked.await??, 200);
    Ok(())
}

/// Faults of HTTP and of the network act together, each on its own.
#[chaos(non_destructive)]
async fn together(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    let delay = Duration::from_millis(20);
    cx.inject(Latency::new(&link).with_delay(delay))?
        .until_end();
    cx.inject(HttpSlowHead::new(&link).with_delay(delay))?
        .until_end();
    cx.inject(HttpStatus::new(&link).with_status(500))?
        .until_end();
    let mut client = connect(&link).await?;
    let began = Instant::now();
    assert_eq!(ask(&mut client, "/chunked").await?.status(), 500);
    // Two directions, and a head of a status line, two fields and an empty line.
    assert!(began.elapsed() >= 6 * delay, "{:?}", began.elapsed());
    let cut = cx.inject(HttpTruncatedBody::new(&link))?;
    ask(&mut client, "/sized").await.unwrap_err();
    cut.undo();
    Ok(())
}

/// Three requests arrive in one segment. Only the second response is replaced.
#[chaos(non_destructive)]
async fn pipelined(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    cx.inject(HttpStatus::new(&link).with_status(502).nth(2))?
        .until_end();
    let addr = link.addr();
    let answers = tokio::task::spawn_blocking(move || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = |option| format!("GET /sized HTTP/1.1\r\nHost: a\r\n{option}\r\n");
        let requests = [request(""), request(""), request("Connection: close\r\n")];
        stream.write_all(requests.concat().as_bytes())?;
        let mut answers = String::new();
        stream.read_to_string(&mut answers)?;
        Ok(answers)
    });
    let answers = answers.await??;
    let statuses: Vec<&str> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect();
    assert_eq!(statuses, ["200", "502", "200"]);
    Ok(())
}

/// A chance affects some responses, and not all.
#[chaos(non_destructive)]
async fn chance(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    cx.inject(HttpStatus::new(&link).with_percent(50))?
        .until_end();
    let mut client = connect(&link).await?;
    let mut replaced = 0;
    for _ in 0..200 {
        replaced += u32::from(ask(&mut client, "/empty").await?.status() != 204);
    }
    // The chance of another number is less than one in a billion.
    assert!((50..=150).contains(&replaced), "{replaced}");
    Ok(())
}

/// The link is dropped while a head is held, slow or cut. No thread and no descriptor is leaked.
#[chaos(non_destructive)]
async fn dropped(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    let slow = cx.inject(HttpSlowHead::new(&link).with_delay(HOUR))?;
    cx.inject(HttpTruncatedBody::new(&link))?.until_end();
    let mut client = connect(&link).await?;
    let asked = tokio::spawn(async move { ask(&mut client, "/sized").await.is_err() });
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(link);
    assert!(asked.await?);
    slow.undo();
    Ok(())
}

/// Draws all fault parameters. The drawn values must not depend on port numbers.
#[chaos(non_destructive)]
async fn drawn(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    cx.inject(HttpStatus::new(&link))?.until_end();
    cx.inject(HttpTruncatedBody::new(&link).with_percent(10))?
        .until_end();
    cx.inject(HttpSlowHead::new(&link).nth(3))?.until_end();
    assert!(cx.inject(HttpStatus::new(&link).with_status(200)).is_err());
    assert!(cx.inject(HttpStatus::new(&link).nth(0)).is_err());
    assert!(cx.inject(HttpStatus::new(&link).with_percent(0)).is_err());
    Err("to see the plan")?;
    Ok(())
}
