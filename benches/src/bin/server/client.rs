//! HTTP clients. Each client sends its next request after the answer to its last request.

use crate::child::Answering;
use clarity_benches::processor;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// The timeout of each read from a connection.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum length of an answer, in bytes.
const MAX_LENGTH: usize = 64 << 20;

/// A keep-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer. Its head and body are in the connection's buffer until the next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: usize,
    length: usize,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Sends a request, and reads the whole answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let mut chunk = [0; 16 << 10];
        loop {
            let count = self.stream.read(&mut chunk)?;
            self.buffer.extend_from_slice(&chunk[..count]);
            match parse(&self.buffer)? {
                Some(answer) if self.buffer.len() >= answer.head + answer.length => {
                    return Ok(answer);
                }
                _ if count == 0 || self.buffer.len() > MAX_LENGTH => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                _ => {}
            }
        }
    }

    /// Returns the head and the body of `answer`, which must be the connection's last answer.
    pub(crate) fn parts(&self, answer: &Answer) -> (&[u8], &[u8]) {
        let (head, rest) = self.buffer.split_at(answer.head);
        (head, &rest[..answer.length])
    }
}

/// Parses the head of an answer. Returns `None` if the head is incomplete.
fn parse(bytes: &[u8]) -> io::Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| invalid("the head is not UTF-8"))?;
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().ok()).flatten()
    });
    match (status, length) {
        (Some(status), Some(length)) => Ok(Some(Answer {
            status,
            head: end + 4,
            length,
        })),
        _ => Err(invalid("the answer has no status or no length")),
    }
}

/// Returns a POST request with a JSON body.
pub(crate) fn post(path: &str, json: &str) -> Vec<u8> {
    let length = json.len();
    format!("POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}").into_bytes()
}

/// Returns a GET request.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").into_bytes()
}

/// The measurements of one server during one call of [`load`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The number of answers per second.
    pub(crate) rate: f64,
    /// The 99th percentile of the latency, in seconds.
    pub(crate) p99: f64,
    /// The server's processor time per answer, in seconds.
    ///
    /// Other programs on the machine affect this time less than they affect the rate.
    pub(crate) used: f64,
}

/// Sends the same request from several clients for the duration `time`, and measures the server.
///
/// # Errors
///
/// When an answer has another status than `status`, or a connection fails.
pub(crate) fn load(
    server: &Answering,
    request: &[u8],
    status: u16,
    clients: usize,
    time: Duration,
) -> io::Result<Seen> {
    let together = Barrier::new(clients);
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(server.address)?);
    }
    let used = processor::used(server.id())?;
    let began = Instant::now();
    let times: io::Result<Vec<Vec<Duration>>> = thread::scope(|scope| {
        let ask = |mut connection: Connection| {
            let together = &together;
            scope.spawn(move || {
                together.wait();
                ask_for(&mut connection, request, status, time)
            })
        };
        let threads: Vec<_> = connections.into_iter().map(ask).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|times| times.expect("a client does not panic"))
            .collect()
    });
    let duration = began.elapsed();
    let times: Vec<Duration> = times?.into_iter().flatten().collect();
    let used = processor::used(server.id())?.saturating_sub(used);
    Ok(Seen {
        rate: times.len() as f64 / duration.as_secs_f64(),
        used: used.as_secs_f64() / times.len() as f64,
        p99: p99(times).as_secs_f64(),
    })
}

/// Repeats a request until the duration `time` has passed. Sends the request at least once. Returns
/// the latency of each answer.
///
/// # Errors
///
/// When an answer has another status than `status`, or the connection fails.
pub(crate) fn ask_for(
    connection: &mut Connection,
    request: &[u8],
    status: u16,
    time: Duration,
) -> io::Result<Vec<Duration>> {
    let began = Instant::now();
    let mut times = Vec::new();
    loop {
        let asked = Instant::now();
        let answer = connection.ask(request)?;
        times.push(asked.elapsed());
        if answer.status != status {
            let (_, body) = connection.parts(&answer);
            let body = String::from_utf8_lossy(body);
            let found = answer.status;
            return Err(io::Error::other(format!(
                "expected {status}, found {found}: {body}"
            )));
        }
        if began.elapsed() >= time {
            return Ok(times);
        }
    }
}

/// Returns the 99th percentile of `times`, or zero if `times` is empty.
pub(crate) fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let place = (times.len() * 99).div_ceil(100).saturating_sub(1);
    times.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn answer_in_several_parts_is_read_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut byte = [0];
            for end in ["1", "2"] {
                stream.read_exact(&mut byte).unwrap();
                for part in [
                    "HTTP/1.1 20",
                    "0 OK\r\nContent-Length: 3\r\n\r",
                    "\nab",
                    end,
                ] {
                    stream.write_all(part.as_bytes()).unwrap();
                }
            }
        });
        let mut connection = Connection::open(address).unwrap();
        for end in [b"ab1", b"ab2"] {
            let answer = connection.ask(b"?").unwrap();
            assert_eq!(
                (answer.status, connection.parts(&answer).1),
                (200, &end[..])
            );
        }
        server.join().unwrap();
        assert!(connection.ask(b"?").is_err(), "the server has ended");
    }

    #[test]
    fn p99_is_the_ninety_ninth_of_a_hundred() {
        let times = |count| (1..=count).rev().map(Duration::from_secs).collect();
        assert_eq!(p99(times(100)), Duration::from_secs(99));
        assert_eq!(p99(times(1)), Duration::from_secs(1));
        assert_eq!(p99(times(0)), Duration::ZERO);
    }
}
