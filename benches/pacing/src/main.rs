//! Measures transfers over a link of limited bandwidth, at their receiver.
//!
//! A transfer that is due in 0.5 s or more must take its time within 10 %, a shorter one within
//! 10 ms. The received bytes may be ahead of the rate by one piece at most: 10 ms' worth, at least
//! one byte. The result depends on the load of the machine.

use clarity_chaos::fault::Bandwidth;
use clarity_chaos::network::{Direction, Link};
use clarity_chaos::{Context, Result, chaos};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// The rates, in bytes per second.
const RATES: [u64; 7] = [
    100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000,
];

/// The times in which the transfers are due, in seconds.
const DUE: [f64; 6] = [0.02, 0.1, 0.3, 0.5, 1.5, 5.0];

/// The measurement of one transfer.
struct Transfer {
    bytes: usize,
    time: Duration,
    /// The largest number of bytes by which the receiver was ahead of the rate.
    ahead: f64,
}

/// Each transfer takes its time, and is never ahead of the rate.
#[chaos(timeout = "10m")]
fn pacing(cx: Context) -> Result {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let link = cx.link("receiver", listener.local_addr()?)?;
    println!("      rate B/s       due s     took s    ahead, in pieces");
    let mut failed = 0;
    for rate in RATES {
        let narrow = Bandwidth::new(&link)
            .with_bytes_per_second(rate)
            .towards(Direction::ToServer);
        let narrow = cx.inject(narrow)?;
        for due in DUE {
            let transfer = measure(&link, &listener, rate, due)?;
            let due = transfer.bytes as f64 / rate as f64;
            let took = transfer.time.as_secs_f64();
            let pieces = transfer.ahead / (rate as f64 / 100.0).max(1.0);
            let allowed = if due >= 0.5 { due / 10.0 } else { 0.01 };
            let holds = (took - due).abs() <= allowed && pieces <= 1.0;
            failed += usize::from(!holds);
            let verdict = if holds { "holds" } else { "does not hold" };
            println!("{rate:>14} {due:>11.3} {took:>10.4} {pieces:>10.3}   {verdict}");
        }
        narrow.undo();
    }
    assert_eq!(failed, 0, "some transfers are out of their bounds");
    Ok(())
}

/// Sends as many bytes as are due in `due` seconds, and measures them at the receiver.
fn measure(link: &Link, listener: &TcpListener, rate: u64, due: f64) -> io::Result<Transfer> {
    let bytes = ((rate as f64 * due) as usize).max(1);
    let mut sender = TcpStream::connect(link.addr())?;
    let (mut receiver, _) = listener.accept()?;
    let began = Instant::now();
    let sending = thread::spawn(move || -> io::Result<()> {
        let data = vec![b'x'; 1 << 16];
        let mut left = bytes;
        while left > 0 {
            left -= sender.write(&data[..left.min(data.len())])?;
        }
        Ok(())
    });
    let mut buffer = vec![0; 1 << 20];
    let (mut received, mut ahead) = (0, 0_f64);
    while received < bytes {
        let count = receiver.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        received += count;
        let due_by_now = began.elapsed().as_secs_f64() * rate as f64;
        ahead = ahead.max(received as f64 - due_by_now);
    }
    let time = began.elapsed();
    sending
        .join()
        .map_err(|_payload| io::Error::other("the sender panicked"))??;
    Ok(Transfer { bytes, time, ahead })
}

clarity_chaos::main!();
