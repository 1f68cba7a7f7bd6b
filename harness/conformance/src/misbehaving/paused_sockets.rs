//! Tests with sockets under a paused clock, which advances by itself.

use clarity_chaos::{Context, Result, chaos};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use tokio::time::{sleep, timeout};

const HOUR: Duration = Duration::from_secs(3600);
const LOCALHOST: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Opens a connection on the loopback, and returns both ends.
async fn connection() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(LOCALHOST).await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    Ok((client, server))
}

/// Expects a timeout, which elapses although a TCP socket has five bytes.
#[chaos(clock = "paused")]
async fn timeout_with_unread_bytes() -> Result {
    let (mut client, _server) = connection().await?;
    client.write_all(b"hello").await?;
    let answer = timeout(HOUR, std::future::pending::<()>()).await;
    assert!(answer.is_err());
    Ok(())
}

/// Fails with a timeout of its own, which elapses although a Unix socket has bytes.
#[chaos(clock = "paused")]
async fn fails_with_unread_bytes() -> Result {
    let (mut here, _there) = UnixStream::pair()?;
    here.write_all(b"bytes").await?;
    timeout(HOUR, std::future::pending::<()>()).await?;
    Ok(())
}

/// A task on the runtime sleeps while a UDP socket has a datagram. The sandbox hides no socket.
#[chaos(clock = "paused", non_destructive)]
async fn sleep_with_unread_datagram() -> Result {
    let here = UdpSocket::bind(LOCALHOST).await?;
    let there = std::net::UdpSocket::bind(LOCALHOST)?;
    there.send_to(b"datagram", here.local_addr()?)?;
    tokio::spawn(sleep(Duration::from_secs(5))).await?;
    let mut bytes = [0; 16];
    assert_eq!(here.recv(&mut bytes).await?, 8);
    Ok(())
}

/// A slow reader leaves bytes unread on purpose while it sleeps, and the test says so.
#[chaos(clock = "paused")]
async fn slow_reader_leaves_bytes(cx: Context) -> Result {
    cx.clock().allow_unread_bytes();
    let (mut client, mut server) = connection().await?;
    client.write_all(b"hello").await?;
    for _ in 0..5 {
        sleep(HOUR).await;
        let mut byte = [0];
        server.read_exact(&mut byte).await?;
    }
    Ok(())
}

/// Two tasks talk over a socket. Each reads all bytes before it sleeps.
#[chaos(clock = "paused")]
async fn bytes_are_read_before_sleeps(cx: Context) -> Result {
    let (mut client, mut server) = connection().await?;
    let answers = tokio::spawn(async move {
        let mut byte = [0];
        while server.read_exact(&mut byte).await.is_ok() {
            sleep(Duration::from_millis(640)).await;
            server.write_all(&byte).await?;
        }
        std::io::Result::Ok(())
    });
    for round in 0..20 {
        client.write_all(&[round]).await?;
        let mut byte = [0];
        timeout(Duration::from_secs(1), client.read_exact(&mut byte)).await??;
        assert_eq!(byte, [round]);
        sleep(Duration::from_millis(1)).await;
    }
    drop(client);
    answers.await??;
    assert!(cx.clock().virtual_now() >= Some(Duration::from_millis(20 * 640)));
    Ok(())
}

/// Bytes of sockets outside of the runtime are unread while the clock advances.
#[chaos(clock = "paused")]
async fn unread_bytes_outside_of_the_runtime() -> Result {
    let here = std::net::UdpSocket::bind(LOCALHOST)?;
    here.send_to(b"datagram", here.local_addr()?)?;
    let _listener = TcpListener::bind(LOCALHOST).await?;
    sleep(HOUR).await;
    Ok(())
}

/// The peer has closed the connection, and the end of the stream is unread.
#[chaos(clock = "paused")]
async fn unread_end_of_stream() -> Result {
    let (client, server) = connection().await?;
    drop(server);
    client.readable().await?;
    sleep(HOUR).await;
    Ok(())
}

/// The test itself advances the paused clock while a socket has bytes.
#[chaos(clock = "paused")]
async fn advances_itself_with_unread_bytes(cx: Context) -> Result {
    let (mut here, _there) = UnixStream::pair()?;
    here.write_all(b"bytes").await?;
    cx.clock().advance(HOUR).await;
    Ok(())
}

/// A manual clock does not advance by itself, so bytes may stay unread.
#[chaos(clock = "manual")]
async fn manual_clock_with_unread_bytes(cx: Context) -> Result {
    let (mut here, _there) = UnixStream::pair()?;
    here.write_all(b"bytes").await?;
    let late = tokio::spawn(timeout(HOUR, std::future::pending::<()>()));
    cx.clock().advance(HOUR).await;
    assert!(late.await?.is_err());
    Ok(())
}

/// The test resumes real time. A real sleep elapses while a socket has bytes.
#[chaos(clock = "paused")]
async fn real_time_with_unread_bytes() -> Result {
    let (mut here, _there) = UnixStream::pair()?;
    here.write_all(b"bytes").await?;
    tokio::time::resume();
    for _ in 0..20 {
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Waits for a peer outside of the runtime, and fails with an error of its own.
#[chaos(clock = "paused")]
async fn fails_without_an_answer() -> Result {
    let (_client, mut server) = connection().await?;
    let mut byte = [0];
    match timeout(HOUR, server.read(&mut byte)).await {
        Err(_) => Err("no answer".into()),
        Ok(_) => Ok(()),
    }
}

/// Fails without a socket while the clock advances.
#[chaos(clock = "paused")]
async fn fails_without_sockets() -> Result {
    sleep(HOUR).await;
    Err("no reason".into())
}
