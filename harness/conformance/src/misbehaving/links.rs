//! Links between a client and a server, with each kind of network fault.

use crate::waiting::PATIENCE;
use clarity_chaos::fault::{Bandwidth, Blackhole, ConnectionCut, Corruption, Latency};
use clarity_chaos::network::{Direction, Link};
use clarity_chaos::{Context, Result, chaos};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A server that echoes all bytes. Dropping this value ends the server.
pub(crate) struct Echo {
    pub(crate) addr: SocketAddr,
    serving: Option<JoinHandle<()>>,
}

impl Echo {
    pub(crate) fn start() -> io::Result<Self> {
        Self::start_at(([127, 0, 0, 1], 0).into())
    }

    fn start_at(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr)?;
        let addr = listener.local_addr()?;
        let serve = move || {
            let mut sessions = Vec::new();
            for stream in listener.incoming().flatten() {
                // A `!` as the first byte ends the server.
                let mut first = [0];
                if (&stream).read_exact(&mut first).is_ok() && first == *b"!" {
                    break;
                }
                sessions.push(thread::spawn(move || {
                    let _ = (&stream).write_all(&first);
                    let _ = io::copy(&mut &stream, &mut &stream);
                    let _ = stream.shutdown(Shutdown::Write);
                }));
            }
            for session in sessions {
                let _ = session.join();
            }
        };
        Ok(Self {
            addr,
            serving: Some(thread::spawn(serve)),
        })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(self.addr) {
            let _ = stream.write_all(b"!");
        }
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

pub(crate) fn connect(link: &Link) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(link.addr())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether the error is a read timeout, not the end of the connection.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Sends `text`, and reads an answer of the same length.
pub(crate) fn ask(mut stream: &TcpStream, text: &str) -> io::Result<String> {
    stream.write_all(text.as_bytes())?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer)?;
    String::from_utf8(answer).map_err(io::Error::other)
}

/// Without a fault, a link forwards all bytes and the end of the stream.
#[chaos(non_destructive)]
fn nothing_is_wrong(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let mut stream = connect(&link)?;
    let text = "text".repeat(100_000);
    let sent = thread::spawn({
        let (stream, text) = (stream.try_clone()?, text.clone());
        move || {
            (&stream).write_all(text.as_bytes())?;
            stream.shutdown(Shutdown::Write)
        }
    });
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    sent.join().unwrap()?;
    assert!(answer == text);
    Ok(())
}

/// A round trip takes at least twice the delay, until the fault is undone.
#[chaos(non_destructive)]
fn latency(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let stream = connect(&link)?;
    let delay = Duration::from_millis(40);
    let slow = cx.inject(Latency::new(&link).with_delay(delay).with_jitter(delay))?;
    let began = Instant::now();
    assert_eq!(ask(&stream, "late")?, "late");
    assert!(began.elapsed() >= 2 * delay);
    assert!(began.elapsed() < PATIENCE / 2);
    slow.undo();
    // A busy machine delays some round trips, too. The fault would delay every round trip, so one
    // fast round trip is enough.
    crate::waiting::until("a round trip without latency", || {
        let began = Instant::now();
        ask(&stream, "soon")?;
        Ok(began.elapsed() < 2 * delay)
    })
}

/// At 10,000 bytes per second, sending 1,000 bytes twice takes at least 100 ms.
#[chaos(non_destructive)]
fn bandwidth(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let narrow = Bandwidth::new(&link)
        .with_bytes_per_second(10_000)
        .towards(Direction::ToServer);
    cx.inject(narrow)?.until_end();
    let stream = connect(&link)?;
    let began = Instant::now();
    for _ in 0..2 {
        ask(&stream, &"x".repeat(1000))?;
    }
    // The second thousand bytes wait 100 ms, until the first thousand have passed.
    assert!(began.elapsed() >= Duration::from_millis(100));
    Ok(())
}

/// Bytes that are sent during a stall arrive after the stall.
#[chaos(non_destructive)]
fn stall(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let stream = connect(&link)?;
    ask(&stream, "before")?;
    let stall = cx.inject(Blackhole::new(&link, Direction::ToClient))?;
    (&stream).write_all(b"during")?;
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut answer = [0; 6];
    let waited = (&stream).read(&mut answer).unwrap_err();
    assert!(is_timeout(&waited), "{waited}");
    stall.undo();
    stream.set_read_timeout(Some(PATIENCE))?;
    (&stream).read_exact(&mut answer)?;
    assert_eq!(&answer, b"during");
    Ok(())
}

/// A connection is reset after three bytes. The next connection works.
#[chaos(non_destructive)]
fn reset(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    cx.inject(ConnectionCut::new(&link, Direction::ToServer).after(3))?
        .until_end();
    let mut stream = connect(&link)?;
    // The write can fail, because the connection may be reset meanwhile. The first three bytes can
    // still be echoed.
    let _ = stream.write_all(b"abcdef");
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer).unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::ConnectionReset);
    assert!(b"abc".starts_with(&answer), "{answer:?}");
    assert_eq!(ask(&connect(&link)?, "after")?, "after");
    Ok(())
}

/// The connection closes after three bytes of the answer, without an error.
#[chaos(non_destructive)]
fn close(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let cut = ConnectionCut::new(&link, Direction::ToClient)
        .after(3)
        .by_closing();
    cx.inject(cut)?.until_end();
    let mut stream = connect(&link)?;
    stream.write_all(b"abcdef")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    assert_eq!(answer, b"abc");
    Ok(())
}

/// One direction closes after three bytes. The other direction stays open.
#[chaos(non_destructive)]
fn half_close(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let cut = ConnectionCut::new(&link, Direction::ToServer)
        .after(3)
        .by_half_closing();
    cx.inject(cut)?.until_end();
    let mut stream = connect(&link)?;
    stream.write_all(b"abcdef")?;
    // The server reads three bytes and the end of the stream, and echoes the three bytes.
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    assert_eq!(answer, b"abc");
    Ok(())
}

/// One bit of one byte is flipped on the way to the client.
#[chaos(non_destructive)]
fn corruption(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let stream = connect(&link)?;
    ask(&stream, "before")?;
    cx.inject(Corruption::new(&link, Direction::ToClient).at(5))?
        .until_end();
    let mut stream = &stream;
    let mut answer = [0; 8];
    for text in ["0000", "0000"] {
        stream.write_all(text.as_bytes())?;
    }
    stream.read_exact(&mut answer)?;
    let flipped: Vec<u32> = answer
        .iter()
        .map(|byte| (byte ^ b'0').count_ones())
        .collect();
    assert_eq!(flipped, [0, 0, 0, 0, 0, 1, 0, 0]);
    Ok(())
}

/// Three faults of one link take effect together.
#[chaos(non_destructive)]
fn together(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let delay = Duration::from_millis(30);
    let slow = cx.inject(Latency::new(&link).with_delay(delay))?;
    cx.inject(Corruption::new(&link, Direction::ToServer).at(0))?
        .until_end();
    cx.inject(
        ConnectionCut::new(&link, Direction::ToClient)
            .after(4)
            .by_closing(),
    )?
    .until_end();
    let mut stream = connect(&link)?;
    let began = Instant::now();
    stream.write_all(b"000000")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    assert!(began.elapsed() >= 2 * delay);
    assert_eq!((answer.len(), &answer[1..]), (4, &b"000"[..]));
    assert_eq!((answer[0] ^ b'0').count_ones(), 1);
    slow.undo();
    Ok(())
}

/// Drops a link while bytes are stalled. No thread and no descriptor is leaked.
#[chaos(non_destructive)]
fn dropped(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let stall = cx.inject(Blackhole::new(&link, Direction::Both))?;
    let streams = [connect(&link)?, connect(&link)?];
    for mut stream in &streams {
        stream.write_all(&[0; 100_000])?;
    }
    drop(link);
    for mut stream in &streams {
        let ended = stream.read(&mut [0; 10]);
        assert!(
            matches!(&ended, Ok(0)) || ended.as_ref().is_err_and(|error| !is_timeout(error)),
            "{ended:?}"
        );
    }
    stall.undo();
    Ok(())
}

/// Connections are reset while no server listens, and work once a server listens.
#[chaos(non_destructive)]
fn nobody_serves(cx: Context) -> Result {
    let server = Echo::start()?;
    let addr = server.addr;
    drop(server);
    let link = cx.link("nobody", addr)?;
    let refused = connect(&link).and_then(|stream| ask(&stream, "x"));
    let error = refused.unwrap_err();
    assert!(!is_timeout(&error), "{error}");
    let _server = Echo::start_at(addr)?;
    assert_eq!(ask(&connect(&link)?, "after")?, "after");
    Ok(())
}

/// Draws all fault parameters. The drawn values must not depend on port numbers.
#[chaos(non_destructive)]
fn drawn(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    cx.inject(Latency::new(&link))?.until_end();
    cx.inject(Bandwidth::new(&link))?.until_end();
    cx.inject(Corruption::new(&link, Direction::ToClient))?
        .until_end();
    cx.inject(ConnectionCut::new(&link, Direction::ToServer))?
        .until_end();
    Err("to see the plan")?;
    Ok(())
}
