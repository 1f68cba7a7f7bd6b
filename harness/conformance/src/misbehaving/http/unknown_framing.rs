//! Links whose bytes a fault of HTTP cannot act on: each test must fail, and name the fault.

use super::clients::curl;
use super::{ask, connect, server};
use crate::waiting::PATIENCE;
use clarity_chaos::fault::{HttpSlowHead, HttpStatus, HttpTruncatedBody};
use clarity_chaos::network::Link;
use clarity_chaos::{Context, Result, chaos};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

/// Serves one client: answers its first bytes with `answer`, and echoes all further bytes.
fn serve_once(answer: &'static [u8]) -> io::Result<(SocketAddr, JoinHandle<io::Result<()>>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let addr = listener.local_addr()?;
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer)?;
        stream.write_all(answer)?;
        // The client may reset the connection.
        let _ = io::copy(&mut stream.try_clone()?, &mut stream);
        Ok(())
    });
    Ok((addr, serving))
}

/// Sends `request`, and reads until `answer` came.
fn talk(link: &Link, request: &[u8], answer: &[u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(link.addr())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut buffer = vec![0; answer.len()];
    stream.read_exact(&mut buffer)?;
    assert_eq!(buffer, answer);
    Ok(stream)
}

fn join(serving: JoinHandle<io::Result<()>>) -> Result {
    Ok(serving.join().map_err(|_| "the server panicked")??)
}

/// Exchanges bytes with each fault of HTTP in effect.
fn exchange(cx: &Context, request: &[u8], answer: &'static [u8]) -> Result {
    let (addr, serving) = serve_once(answer)?;
    let link = cx.link("web", addr)?;
    let status = cx.inject(HttpStatus::new(&link))?;
    let slow = cx.inject(
        HttpSlowHead::new(&link)
            .with_percent(1)
            .with_delay(std::time::Duration::ZERO),
    )?;
    drop(talk(&link, request, answer)?);
    join(serving)?;
    slow.undo();
    status.undo();
    Ok(())
}

/// curl speaks TLS.
#[chaos(non_destructive, timeout = "60s")]
async fn tls(cx: Context) -> Result {
    let (addr, serving) = serve_once(b"no TLS at all")?;
    let link = cx.link("web", addr)?;
    cx.inject(HttpStatus::new(&link))?.until_end();
    let (code, _) = curl(&cx, &["-k", &format!("https://{}/", link.addr())]).await?;
    assert_ne!(code, Some(0));
    join(serving)
}

/// curl speaks HTTP/2 from the first byte.
#[chaos(non_destructive, timeout = "60s")]
async fn http2(cx: Context) -> Result {
    let (addr, serving) = serve_once(b"no HTTP/2 at all")?;
    let link = cx.link("web", addr)?;
    cx.inject(HttpTruncatedBody::new(&link))?.until_end();
    let url = format!("http://{}/", link.addr());
    let (code, _) = curl(&cx, &["--http2-prior-knowledge", &url]).await?;
    assert_ne!(code, Some(0));
    join(serving)
}

/// curl offers an upgrade to HTTP/2, and the server accepts it.
#[chaos(non_destructive, timeout = "60s")]
async fn http2_upgrade(cx: Context) -> Result {
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let (addr, serving) = serve_once(answer)?;
    let link = cx.link("web", addr)?;
    cx.inject(HttpSlowHead::new(&link).with_delay(std::time::Duration::ZERO))?
        .until_end();
    let (code, _) = curl(&cx, &["--http2", &format!("http://{}/", link.addr())]).await?;
    assert_ne!(code, Some(0));
    join(serving)
}

/// curl offers an upgrade to HTTP/2, and the server answers by HTTP/1.1. The test passes.
#[chaos(non_destructive, timeout = "60s")]
async fn refused_http2_upgrade(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    cx.inject(HttpStatus::new(&link).with_status(500))?
        .until_end();
    let url = format!("http://{}/", link.addr());
    let (code, text) = curl(
        &cx,
        &["--http2", "-w", "%{http_code}", "-o", "/dev/null", &url],
    )
    .await?;
    assert_eq!((code, &text[..]), (Some(0), "500"));
    Ok(())
}

/// curl opens a tunnel.
#[chaos(non_destructive, timeout = "60s")]
async fn tunnel(cx: Context) -> Result {
    let (addr, serving) = serve_once(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let link = cx.link("proxy", addr)?;
    cx.inject(HttpStatus::new(&link))?.until_end();
    let proxy = format!("http://{}", link.addr());
    let tunnel = [
        "--noproxy",
        "",
        "--proxytunnel",
        "--proxy",
        &proxy,
        "http://far.invalid/",
    ];
    // The server echoes the request, which is no response.
    let (code, _) = curl(&cx, &tunnel).await?;
    assert_ne!(code, Some(0));
    join(serving)
}

/// The connection changes to WebSocket.
#[chaos(non_destructive)]
fn websocket(cx: Context) -> Result {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let answer =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    exchange(&cx, request, answer)
}

/// The connection has changed to WebSocket before the fault. Its bytes fail the test.
#[chaos(non_destructive)]
fn websocket_before(cx: Context) -> Result {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let answer =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let (addr, serving) = serve_once(answer)?;
    let link = cx.link("web", addr)?;
    let mut stream = talk(&link, request, answer)?;
    let status = cx.inject(HttpStatus::new(&link))?;
    stream.write_all(b"\x81\x00")?;
    stream.read_exact(&mut [0; 2])?;
    status.undo();
    drop(stream);
    join(serving)
}

/// The connection is a WebSocket without a fault, and while the fault of another link is in effect.
/// The test passes.
#[chaos(non_destructive)]
fn websocket_elsewhere(cx: Context) -> Result {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let answer =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let (addr, serving) = serve_once(answer)?;
    let (link, other) = (cx.link("web", addr)?, cx.link("other", addr)?);
    cx.inject(HttpStatus::new(&link))?.undo();
    cx.inject(HttpStatus::new(&other))?.until_end();
    drop(talk(&link, request, answer)?);
    join(serving)
}

/// A request has two lengths.
#[chaos(non_destructive)]
fn two_lengths(cx: Context) -> Result {
    let request = b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello";
    exchange(
        &cx,
        request,
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    )
}

/// A response has a length and chunks.
#[chaos(non_destructive)]
fn length_and_chunks(cx: Context) -> Result {
    let answer =
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    exchange(&cx, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", answer)
}

/// The lines of a response end with bare line feeds.
#[chaos(non_destructive)]
fn bare_line_feeds(cx: Context) -> Result {
    let answer = b"HTTP/1.1 200 OK\nContent-Length: 0\n\n";
    exchange(&cx, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", answer)
}

/// The link carries no HTTP, and the test panics because its fault does nothing. The message names
/// the reason.
#[chaos(non_destructive)]
fn panics_without_the_fault(cx: Context) -> Result {
    exchange(&cx, b"hello", b"hello")?;
    panic!("no status came");
}

/// The link carries no HTTP, and the test then hangs. The timeline names the reason.
#[chaos(non_destructive, timeout = "5s")]
fn hangs_without_the_fault(cx: Context) -> Result {
    exchange(&cx, b"hello", b"hello")?;
    loop {
        thread::park();
    }
}

/// The test's own error names the reason, too: a connection of hyper to a server that is none.
#[chaos(non_destructive)]
async fn fails_without_the_fault(cx: Context) -> Result {
    let (addr, serving) = serve_once(b"220 mail.invalid ESMTP\r\n")?;
    let link = cx.link("mail", addr)?;
    cx.inject(HttpStatus::new(&link))?.until_end();
    let mut client = connect(&link).await?;
    let asked = ask(&mut client, "/")
        .await
        .map(|response| response.status());
    drop(client);
    drop(link);
    join(serving)?;
    assert_eq!(asked?, 500);
    Ok(())
}
