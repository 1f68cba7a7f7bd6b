//! Links for datagrams, with each of their faults, and partitions of several links.

use crate::links::{Echo, ask, connect, is_timeout};
use crate::waiting::PATIENCE;
use clarity_chaos::fault::{
    Blackhole, Latency, PacketDuplication, PacketLoss, PacketReordering, Partition,
};
use clarity_chaos::network::{Direction, UdpLink};
use clarity_chaos::{Context, Result, chaos};
use std::io::{self, Read as _, Write as _};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// The time for which a test waits for a datagram that must not come.
const SHORT: Duration = Duration::from_millis(100);

/// The first byte of the last datagram of a round.
const LAST: u8 = u8::MAX;

/// The number of the next round, which is the second byte of its last datagram.
static ROUND: AtomicU8 = AtomicU8::new(0);

fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// A client and a server, and the link between them.
struct Pair {
    client: UdpSocket,
    server: UdpSocket,
    link: UdpLink,
}

impl Pair {
    fn open(cx: &Context, name: &str) -> Result<Self> {
        let (client, server) = (socket()?, socket()?);
        let link = cx.udp_link(name, server.local_addr()?)?;
        client.connect(link.addr())?;
        Ok(Self {
            client,
            server,
            link,
        })
    }

    /// Sends a datagram to the server, which answers it. Returns the answer.
    fn ask(&self, byte: u8) -> io::Result<u8> {
        self.client.send(&[byte])?;
        let mut buffer = [0; 2];
        // Datagrams of an earlier round can still arrive.
        let (length, from) = loop {
            let received = self.server.recv_from(&mut buffer)?;
            if buffer[0] != LAST {
                break received;
            }
        };
        self.server.send_to(&buffer[..length], from)?;
        self.client.recv(&mut buffer)?;
        Ok(buffer[0])
    }

    /// Sends the datagrams `0..count` to the server. Returns the received ones.
    fn send(&self, count: u8) -> io::Result<Vec<u8>> {
        for byte in 0..count {
            self.client.send(&[byte])?;
        }
        self.received()
    }

    /// Sends the last datagram until it arrives. Returns the datagrams that arrive before it.
    fn received(&self) -> io::Result<Vec<u8>> {
        let round = ROUND.fetch_add(1, Ordering::Relaxed);
        let (mut received, mut buffer) = (Vec::new(), [0; 2]);
        self.server.set_read_timeout(Some(SHORT))?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.server.recv(&mut buffer) {
                Ok(_) if buffer == [LAST, round] => break,
                Ok(_) if buffer[0] == LAST => {}
                Ok(_) => received.push(buffer[0]),
                Err(error) if is_timeout(&error) => drop(self.client.send(&[LAST, round])?),
                Err(error) => return Err(error),
            }
        }
        self.server.set_read_timeout(Some(PATIENCE))?;
        Ok(received)
    }
}

fn expect_silence(socket: &UdpSocket) -> Result {
    socket.set_read_timeout(Some(SHORT))?;
    let waited = socket.recv(&mut [0]).unwrap_err();
    assert!(is_timeout(&waited), "{waited}");
    Ok(socket.set_read_timeout(Some(PATIENCE))?)
}

/// Without a fault, all datagrams pass in order. The server can answer each client.
#[chaos(non_destructive)]
fn nothing_is_wrong(cx: Context) -> Result {
    let pair = Pair::open(&cx, "dns")?;
    let other = socket()?;
    other.connect(pair.link.addr())?;
    assert_eq!(pair.send(100)?, (0..100).collect::<Vec<u8>>());
    assert_eq!(pair.ask(7)?, 7);
    other.send(&[8])?;
    let (_, from_other) = pair.server.recv_from(&mut [0])?;
    pair.client.send(&[9])?;
    let (_, from_client) = pair.server.recv_from(&mut [0])?;
    assert_ne!(from_other, from_client);
    pair.server.send_to(&[1], from_other)?;
    pair.server.send_to(&[], from_client)?;
    let mut buffer = [0];
    assert_eq!((other.recv(&mut buffer)?, buffer[0]), (1, 1));
    assert_eq!(pair.client.recv(&mut buffer)?, 0);
    let long = vec![3; 60_000];
    pair.client.send(&long)?;
    let mut buffer = vec![0; 1 << 16];
    let length = pair.server.recv(&mut buffer)?;
    assert!(buffer[..length] == long);
    Ok(())
}

/// The lost datagrams follow from the seed. No datagram is lost after the undo.
#[chaos(non_destructive)]
fn loss(cx: Context) -> Result {
    let pair = Pair::open(&cx, "dns")?;
    let half = PacketLoss::new(&pair.link).with_percent(50);
    let half = cx.inject(half.towards(Direction::ToServer))?;
    let received = pair.send(100)?;
    assert!((20..80).contains(&received.len()), "{received:?}");
    assert!(received.is_sorted(), "{received:?}");
    cx.note(format!("{received:?}"));
    half.undo();
    assert_eq!(pair.send(100)?.len(), 100);
    assert_eq!(pair.ask(7)?, 7);
    let all = cx.inject(PacketLoss::new(&pair.link).with_percent(100))?;
    pair.client.send(&[1])?;
    expect_silence(&pair.server)?;
    all.undo();
    assert_eq!(pair.ask(7)?, 7);
    Ok(())
}

/// Each datagram arrives twice, in one direction.
#[chaos(non_destructive)]
fn duplication(cx: Context) -> Result {
    let pair = Pair::open(&cx, "dns")?;
    let twice = PacketDuplication::new(&pair.link).with_percent(100);
    let twice = cx.inject(twice.towards(Direction::ToServer))?;
    assert_eq!(pair.send(3)?, [0, 0, 1, 1, 2, 2]);
    twice.undo();
    Ok(())
}

/// Some datagrams arrive after later ones, and all arrive once.
#[chaos(non_destructive)]
fn reordering(cx: Context) -> Result {
    let pair = Pair::open(&cx, "dns")?;
    let mixed = cx.inject(PacketReordering::new(&pair.link).with_percent(50).by(1))?;
    let mut received = pair.send(100)?;
    assert!(!received.is_sorted(), "{received:?}");
    mixed.undo();
    received.extend(pair.received()?);
    received.sort_unstable();
    assert_eq!(received, (0..100).collect::<Vec<u8>>());
    Ok(())
}

/// Datagrams are late. They arrive at once when the fault is undone, and later ones are not late.
#[chaos(non_destructive)]
fn latency(cx: Context) -> Result {
    let pair = Pair::open(&cx, "dns")?;
    let delay = Duration::from_millis(40);
    let slow = cx.inject(Latency::new(&pair.link).with_delay(delay))?;
    let began = Instant::now();
    assert_eq!(pair.ask(7)?, 7);
    assert!(began.elapsed() >= 2 * delay);
    slow.undo();
    let hour = Duration::from_secs(3600);
    let slow = cx.inject(Latency::new(&pair.link).with_delay(hour))?;
    pair.client.send(&[1])?;
    expect_silence(&pair.server)?;
    slow.undo();
    pair.client.send(&[2])?;
    for expected in [1, 2] {
        let mut buffer = [0];
        pair.server.recv(&mut buffer)?;
        assert_eq!(buffer[0], expected);
    }
    Ok(())
}

/// Datagrams are lost in one direction only.
#[chaos(non_destructive)]
fn blackhole(cx: Context) -> Result {
    let pair = Pair::open(&cx, "dns")?;
    pair.client.send(&[1])?;
    let mut buffer = [0];
    let (_, client) = pair.server.recv_from(&mut buffer)?;
    let hole = cx.inject(Blackhole::new(&pair.link, Direction::ToServer))?;
    pair.client.send(&[2])?;
    expect_silence(&pair.server)?;
    pair.server.send_to(&[3], client)?;
    pair.client.recv(&mut buffer)?;
    assert_eq!(buffer, [3]);
    hole.undo();
    expect_silence(&pair.server)?;
    assert_eq!(pair.ask(7)?, 7);
    Ok(())
}

/// A partition separates A from B, one way: links in both roles, for datagrams and for streams.
#[chaos(non_destructive)]
fn partition(cx: Context) -> Result {
    let a_asks_b = Pair::open(&cx, "a asks b")?;
    let b_asks_a = Pair::open(&cx, "b asks a")?;
    let server = Echo::start()?;
    let stream_to_b = cx.link("stream to b", server.addr)?;
    let mut stream = connect(&stream_to_b)?;
    ask(&stream, "before")?;
    for pair in [&a_asks_b, &b_asks_a] {
        assert_eq!(pair.ask(1)?, 1);
    }
    b_asks_a.client.send(&[2])?;
    let (_, b) = b_asks_a.server.recv_from(&mut [0])?;
    let partition = Partition::new(&a_asks_b.link, Direction::ToServer)
        .and(&b_asks_a.link, Direction::ToClient)
        .and(&stream_to_b, Direction::ToServer);
    let partition = cx.inject(partition)?;
    // No byte of A reaches B.
    a_asks_b.client.send(&[3])?;
    expect_silence(&a_asks_b.server)?;
    b_asks_a.server.send_to(&[4], b)?;
    expect_silence(&b_asks_a.client)?;
    stream.write_all(b"held")?;
    stream.set_read_timeout(Some(SHORT))?;
    assert!(is_timeout(&stream.read(&mut [0]).unwrap_err()));
    // B still reaches A.
    b_asks_a.client.send(&[5])?;
    let mut buffer = [0];
    b_asks_a.server.recv(&mut buffer)?;
    assert_eq!(buffer, [5]);
    partition.undo();
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"held");
    for pair in [&a_asks_b, &b_asks_a] {
        assert_eq!(pair.ask(6)?, 6);
    }
    Ok(())
}

/// The link is dropped while datagrams wait. No thread and no descriptor is leaked.
#[chaos(non_destructive)]
fn dropped(cx: Context) -> Result {
    let pair = Pair::open(&cx, "dns")?;
    assert_eq!(pair.ask(1)?, 1);
    cx.inject(Latency::new(&pair.link).with_delay(Duration::from_secs(3600)))?
        .until_end();
    pair.client.send(&[2])?;
    let Pair { server, link, .. } = pair;
    drop(link);
    expect_silence(&server)
}

/// Draws all fault parameters.
#[chaos(non_destructive)]
fn drawn(cx: Context) -> Result {
    let pair = Pair::open(&cx, "dns")?;
    cx.inject(PacketLoss::new(&pair.link))?.until_end();
    cx.inject(PacketDuplication::new(&pair.link))?.until_end();
    cx.inject(PacketReordering::new(&pair.link))?.until_end();
    Err("to see the plan")?;
    Ok(())
}
