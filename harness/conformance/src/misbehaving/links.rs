//! Links between a client and a server, disturbed in each way.

use clarity_chaos::fault::{Bandwidth, Corruption, Latency, Refusal, Severance, Stall};
use clarity_chaos::network::{Direction, Link};
use clarity_chaos::{Context, Result, chaos};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Long enough for what must come, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that sends back whatever it gets, and ends with the test.
struct Echo {
    addr: SocketAddr,
    serving: Option<JoinHandle<()>>,
}

impl Echo {
    fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let serve = move || {
            let mut sessions = Vec::new();
            for stream in listener.incoming().flatten() {
                // The first byte says whether it is the end.
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

fn connect(link: &Link) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(link.addr())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a text and reads as much.
fn ask(mut stream: &TcpStream, text: &str) -> io::Result<String> {
    stream.write_all(text.as_bytes())?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer)?;
    String::from_utf8(answer).map_err(io::Error::other)
}

/// Without a fault everything passes as it is, and so does the end of the stream.
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

/// What passes is delayed both ways, by what was asked for at least, and no longer when that is undone.
#[chaos(non_destructive)]
fn latency(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let stream = connect(&link)?;
    let delay = Duration::from_millis(40);
    let slow = cx.inject(Latency::on(&link).of(delay).jitter(delay))?;
    let began = Instant::now();
    assert_eq!(ask(&stream, "late")?, "late");
    assert!(began.elapsed() >= 2 * delay);
    assert!(began.elapsed() < PATIENCE / 2);
    slow.undo();
    // Many of them are quicker than one before.
    let began = Instant::now();
    for _ in 0..10 {
        ask(&stream, "soon")?;
    }
    assert!(began.elapsed() < 20 * delay);
    Ok(())
}

/// No more passes than was asked for.
#[chaos(non_destructive)]
fn bandwidth(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let narrow = Bandwidth::of(&link)
        .bytes_per_second(10_000)
        .towards(Direction::ToServer);
    cx.inject(narrow)?.until_end();
    let stream = connect(&link)?;
    let began = Instant::now();
    for _ in 0..2 {
        ask(&stream, &"x".repeat(1000))?;
    }
    // The first thousand has had its time before the second goes.
    assert!(began.elapsed() >= Duration::from_millis(100));
    Ok(())
}

/// What is sent into a stall arrives when it is over.
#[chaos(non_destructive)]
fn stall(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let stream = connect(&link)?;
    ask(&stream, "before")?;
    let stall = cx.inject(Stall::of(&link, Direction::ToClient))?;
    (&stream).write_all(b"during")?;
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut answer = [0; 6];
    let waited = (&stream).read(&mut answer).unwrap_err();
    assert!(
        matches!(waited.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{waited}"
    );
    stall.undo();
    stream.set_read_timeout(Some(PATIENCE))?;
    (&stream).read_exact(&mut answer)?;
    assert_eq!(&answer, b"during");
    Ok(())
}

/// New connections are reset; the old one goes on, and others come later.
#[chaos(non_destructive)]
fn refusal(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let old = connect(&link)?;
    ask(&old, "before")?;
    let refusal = cx.inject(Refusal::of(&link))?;
    let refused = connect(&link).and_then(|stream| ask(&stream, "x"));
    assert!(refused.is_err());
    assert_eq!(ask(&old, "meanwhile")?, "meanwhile");
    refusal.undo();
    assert_eq!(ask(&connect(&link)?, "after")?, "after");
    Ok(())
}

/// A reset after exactly so many bytes; the next connection is whole.
#[chaos(non_destructive)]
fn reset(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    cx.inject(Severance::of(&link, Direction::ToServer).after(3))?
        .until_end();
    let mut stream = connect(&link)?;
    // What passed may still come back before the reset does, and no more than that.
    let _ = stream.write_all(b"abcdef");
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer).unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::ConnectionReset);
    assert!(b"abc".starts_with(&answer), "{answer:?}");
    assert_eq!(ask(&connect(&link)?, "after")?, "after");
    Ok(())
}

/// An answer that is cut off without an error.
#[chaos(non_destructive)]
fn close(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let cut = Severance::of(&link, Direction::ToClient)
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

/// One direction ends, the other goes on.
#[chaos(non_destructive)]
fn half_close(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let cut = Severance::of(&link, Direction::ToServer)
        .after(3)
        .by_half_closing();
    cx.inject(cut)?.until_end();
    let mut stream = connect(&link)?;
    stream.write_all(b"abcdef")?;
    // The server finds the end, and ends; what it had got came back.
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    assert_eq!(answer, b"abc");
    Ok(())
}

/// One bit of one byte arrives as another.
#[chaos(non_destructive)]
fn corruption(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let stream = connect(&link)?;
    ask(&stream, "before")?;
    cx.inject(Corruption::of(&link, Direction::ToClient).byte(5))?
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

/// Several at once: each does its part.
#[chaos(non_destructive)]
fn together(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let delay = Duration::from_millis(30);
    let slow = cx.inject(Latency::on(&link).of(delay))?;
    cx.inject(Corruption::of(&link, Direction::ToServer).byte(0))?
        .until_end();
    cx.inject(
        Severance::of(&link, Direction::ToClient)
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

/// A link that is dropped in the midst of everything leaves nothing behind: no thread, no descriptor.
#[chaos(non_destructive)]
fn dropped(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let stall = cx.inject(Stall::of(&link, Direction::Both))?;
    let streams = [connect(&link)?, connect(&link)?];
    for mut stream in &streams {
        stream.write_all(&[0; 100_000])?;
    }
    drop(link);
    for mut stream in &streams {
        assert!(!matches!(stream.read(&mut [0; 10]), Ok(1..)));
    }
    stall.undo();
    Ok(())
}

/// A server that is not there: clients are reset, and reach it when it comes.
#[chaos(non_destructive)]
fn nobody_serves(cx: Context) -> Result {
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let link = cx.link("nobody", nobody)?;
    let refused = connect(&link).and_then(|stream| ask(&stream, "x"));
    assert!(refused.is_err());
    Ok(())
}

/// Draws everything: the plan of two runs with the same seed is the same, whatever ports there are.
#[chaos(non_destructive)]
fn drawn(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    cx.inject(Latency::on(&link))?.until_end();
    cx.inject(Bandwidth::of(&link))?.until_end();
    cx.inject(Corruption::of(&link, Direction::ToClient))?
        .until_end();
    cx.inject(Severance::of(&link, Direction::ToServer))?
        .until_end();
    Err("to see the plan")?;
    Ok(())
}
