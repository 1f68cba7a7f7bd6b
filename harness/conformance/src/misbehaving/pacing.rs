//! Links whose bytes are paced or held. Undoing the fault, another fault, or the end of the
//! connection ends the wait.

use crate::links::{Echo, ask, connect, is_timeout};
use crate::waiting::PATIENCE;
use clarity_chaos::fault::{Bandwidth, ConnectionCut, Latency};
use clarity_chaos::network::Direction;
use clarity_chaos::{Context, Result, chaos};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A delay that no test waits for.
const HOUR: Duration = Duration::from_secs(3600);

/// The number of bytes in each transfer. At one byte per second, no test waits for them.
const LENGTH: usize = 5000;

/// Waits a little, in which the link receives what was sent, and no byte arrives.
fn expect_silence(mut stream: &TcpStream) -> Result {
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    let waited = stream.read(&mut [0]).unwrap_err();
    assert!(is_timeout(&waited), "{waited}");
    Ok(stream.set_read_timeout(Some(PATIENCE))?)
}

/// Already the first bytes pass at the rate of the link.
#[chaos(non_destructive)]
fn paced_from_the_first_byte(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let rate: u32 = 10;
    let narrow = Bandwidth::new(&link)
        .with_bytes_per_second(rate.into())
        .towards(Direction::ToServer);
    let narrow = cx.inject(narrow)?;
    let mut stream = connect(&link)?;
    let began = Instant::now();
    stream.write_all(&[b'x'; LENGTH])?;
    let (mut arrived, mut buffer) = (0, [0; LENGTH]);
    while arrived < 4 {
        let count = stream.read(&mut buffer)?;
        assert_ne!(count, 0, "the connection ended");
        arrived += count;
        // One piece is one byte at this rate.
        let allowed = began.elapsed().as_secs_f64() * f64::from(rate) + 1.0;
        assert!(arrived as f64 <= allowed, "{arrived} bytes, not {allowed}");
    }
    narrow.undo();
    Ok(())
}

/// After the undo, neither the waiting bytes nor new bytes wait.
#[chaos(non_destructive)]
fn undone_bandwidth(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let narrow = cx.inject(Bandwidth::new(&link).with_bytes_per_second(1))?;
    let mut stream = connect(&link)?;
    let text: Vec<u8> = (0..LENGTH).map(|place| place as u8).collect();
    let (waiting, new) = text.split_at(LENGTH - 10);
    stream.write_all(waiting)?;
    // The first byte has passed both directions, and the others are being paced.
    let mut answer = vec![0; LENGTH];
    stream.read_exact(&mut answer[..1])?;
    narrow.undo();
    stream.write_all(new)?;
    stream.read_exact(&mut answer[1..])?;
    assert!(answer == text, "the bytes keep their order");
    Ok(())
}

/// A faster limit is in effect at once, also for the bytes that wait for the slower limit.
#[chaos(non_destructive)]
fn undone_slower_of_two_limits(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    cx.inject(Bandwidth::new(&link).with_bytes_per_second(1 << 20))?
        .until_end();
    let narrow = cx.inject(Bandwidth::new(&link).with_bytes_per_second(1))?;
    let mut stream = connect(&link)?;
    stream.write_all(&[b'x'; LENGTH])?;
    let mut answer = [0; LENGTH];
    stream.read_exact(&mut answer[..1])?;
    narrow.undo();
    stream.read_exact(&mut answer[1..])?;
    Ok(())
}

/// A cut takes effect while the bytes of the cut direction are paced.
#[chaos(non_destructive)]
fn cut_of_a_paced_connection(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    cx.inject(Bandwidth::new(&link).with_bytes_per_second(1))?
        .until_end();
    let mut stream = connect(&link)?;
    stream.write_all(&[b'x'; LENGTH])?;
    stream.read_exact(&mut [0])?;
    cx.inject(ConnectionCut::new(&link, Direction::ToServer).after(0))?
        .until_end();
    let ended = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(!is_timeout(&ended), "{ended}");
    Ok(())
}

/// Held bytes are delivered at the undo, and new bytes do not queue behind them.
#[chaos(non_destructive)]
fn undone_latency(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let mut stream = connect(&link)?;
    ask(&stream, "before")?;
    let slow = cx.inject(Latency::new(&link).with_delay(HOUR))?;
    stream.write_all(b"held, ")?;
    expect_silence(&stream)?;
    slow.undo();
    stream.write_all(b"new")?;
    let mut answer = [0; 9];
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"held, new");
    Ok(())
}

/// Of two latencies, the undone one no longer delays the bytes that arrived before.
#[chaos(non_destructive)]
fn undone_longer_of_two_latencies(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let short = Duration::from_millis(100);
    cx.inject(Latency::new(&link).with_delay(short))?
        .until_end();
    let slow = cx.inject(Latency::new(&link).with_delay(HOUR))?;
    let mut stream = connect(&link)?;
    let began = Instant::now();
    stream.write_all(b"held")?;
    expect_silence(&stream)?;
    slow.undo();
    stream.read_exact(&mut [0; 4])?;
    assert!(began.elapsed() >= 2 * short);
    Ok(())
}

/// Many small messages are in flight at the same time.
#[chaos(non_destructive)]
fn many_small_messages(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let mut stream = connect(&link)?;
    let slow = cx.inject(Latency::new(&link).with_delay(HOUR))?;
    for _ in 0..200 {
        stream.write_all(b"x")?;
    }
    expect_silence(&stream)?;
    slow.undo();
    stream.read_exact(&mut [0; 200])?;
    Ok(())
}
