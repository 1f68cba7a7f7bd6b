//! Faults of HTTP on bytes that arrive in every possible way.

mod unknown_framing;

use super::*;
use crate::test::network::chance::Chance;
use crate::test::network::condition::Condition;
use crate::test::network::http::{HeadPiece, MessageChoice, Replacement};
use crate::test::test_time::TestTime;
use crate::test::timeline::Timeline;
use Direction::{ToClient, ToServer};
use clarity_chaos_record::ClockKind;
use std::time::Duration;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n";
const UNTIL_CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nhello";

/// The bytes that a connection delivers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Delivered {
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    closed: bool,
    missed: Vec<String>,
}

impl Delivered {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.to_client).into_owned()
    }

    #[track_caller]
    fn expect_miss(&self, kind: &str, reason: &str) {
        let named = |sentence: &String| sentence.starts_with(kind) && sentence.contains(reason);
        assert!(self.missed.iter().any(named), "{reason}: {self:?}");
    }
}

fn choice(nth: Option<u64>) -> MessageChoice {
    MessageChoice::new(Chance::new(ToClient, 100, 1), nth)
}

fn status(nth: Option<u64>) -> HttpCondition {
    HttpCondition::Status {
        choice: choice(nth),
        replacement: Replacement {
            status: 503,
            retry_after: Some(7),
        },
    }
}

fn truncated(after: u64) -> HttpCondition {
    HttpCondition::TruncatedBody {
        choice: choice(None),
        after,
    }
}

fn slow(piece: HeadPiece) -> HttpCondition {
    HttpCondition::SlowHead {
        choice: choice(None),
        delay: Duration::from_secs(1),
        piece,
    }
}

fn missed_faults() -> MissedFaults {
    let time = TestTime::new(ClockKind::Real);
    MissedFaults::new(Timeline::new(tempfile::tempfile().unwrap(), time))
}

/// A connection with faults in effect.
struct RelayedConnection {
    relay: HttpRelay,
    conditions: Conditions,
    delivered: Delivered,
    missed: MissedFaults,
}

impl RelayedConnection {
    fn new(faults: Vec<HttpCondition>) -> Self {
        let (missed, conditions) = (missed_faults(), Conditions::default());
        for fault in faults {
            conditions.add(Condition::Http(fault));
        }
        Self {
            relay: HttpRelay::new("a".to_owned(), missed.clone()),
            conditions,
            delivered: Delivered::default(),
            missed,
        }
    }

    /// Lets the link receive these bytes. An empty slice is the end of the stream.
    fn receive(&mut self, direction: Direction, bytes: &[u8]) {
        if self.relay.has_closed() {
            return;
        }
        let arrival = self.conditions.arrive(direction);
        let relayed = self
            .relay
            .relay(direction, &self.conditions, arrival, bytes);
        self.deliver(direction, relayed);
    }

    fn deliver(&mut self, direction: Direction, relayed: RelayedBytes) {
        for chunk in relayed.into_chunks() {
            let to = match direction {
                ToClient => &mut self.delivered.to_client,
                _ => &mut self.delivered.to_server,
            };
            to.extend_from_slice(&chunk.bytes);
            self.delivered.closed |= chunk.closes;
        }
    }

    fn end(mut self) -> Delivered {
        self.delivered.missed = self.missed.sentences();
        self.delivered
    }
}

/// Splits a part of a script, which has this number.
type Split<'a> = &'a dyn Fn(usize, &[u8]) -> Vec<Vec<u8>>;

/// Relays a script of received bytes, with these faults in effect. The script is relayed as a
/// whole, byte by byte, and with each part split at each place: the results must be equal.
#[track_caller]
fn relay(faults: impl Fn() -> Vec<HttpCondition>, script: &[(Direction, &[u8])]) -> Delivered {
    let run = |split: Split<'_>| {
        let mut connection = RelayedConnection::new(faults());
        for (index, (direction, bytes)) in script.iter().enumerate() {
            for piece in split(index, bytes) {
                connection.receive(*direction, &piece);
            }
        }
        connection.end()
    };
    let whole = run(&|_, bytes| vec![bytes.to_vec()]);
    let same = |other: Delivered, place: &str| {
        assert_eq!(other.text(), whole.text(), "{place}");
        assert_eq!(other.to_server, whole.to_server, "{place}");
        assert_eq!(other.closed, whole.closed, "{place}");
        assert_eq!(other.missed.is_empty(), whole.missed.is_empty(), "{place}");
    };
    let bytewise = run(&|_, bytes| match bytes {
        [] => vec![Vec::new()],
        bytes => bytes.iter().map(|byte| vec![*byte]).collect(),
    });
    same(bytewise, "byte by byte");
    for (part, (_, bytes)) in script.iter().enumerate() {
        for place in 1..bytes.len() {
            let split = run(&|index, bytes| match index == part {
                true => vec![bytes[..place].to_vec(), bytes[place..].to_vec()],
                false => vec![bytes.to_vec()],
            });
            same(split, &format!("part {part} split at {place}"));
        }
    }
    whole
}

#[test]
fn relay_without_faults_passes_every_byte() {
    let garbage: &[u8] = b"\x16\x03\x01 HTTP/1.1\nx\r\r\n";
    for answer in [
        HELLO,
        CHUNKED,
        UNTIL_CLOSE,
        garbage,
        b"HTTP/1.1 101 x\r\n\r\n\x00\n",
    ] {
        for request in [GET, garbage, b"CONNECT a:1 HTTP/1.1\r\n\r\n"] {
            let passed = relay(Vec::new, &[(ToServer, request), (ToClient, answer)]);
            assert_eq!(
                (&passed.to_server[..], &passed.to_client[..]),
                (request, answer)
            );
            assert!(passed.missed.is_empty() && !passed.closed);
        }
    }
}

/// The response in place of a server's response.
fn replacement() -> String {
    let body = "503 Service Unavailable: injected by the fault `http_status`\n";
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: \
         {}\r\nRetry-After: 7\r\n\r\n{body}",
        body.len()
    )
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

#[test]
fn status_replaces_each_final_response() {
    let interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let responses = [HELLO, CHUNKED, interim, NO_CONTENT, HELLO].concat();
    let requests = [GET, b"\r\n", GET, GET, GET].concat();
    let script: [(Direction, &[u8]); 2] = [(ToServer, &requests), (ToClient, &responses)];
    let all = relay(|| vec![status(None)], &script);
    let one = replacement();
    assert_eq!(all.text(), [&one, &one, text(interim), &one, &one].concat());
    assert_eq!(all.to_server, requests);
    assert!(!all.closed && all.missed.is_empty());
    let second = relay(|| vec![status(Some(2))], &script);
    let expected = [
        text(HELLO),
        &one,
        text(interim),
        text(NO_CONTENT),
        text(HELLO),
    ];
    assert_eq!(second.text(), expected.concat());
}

#[test]
fn status_keeps_what_the_server_says_of_the_connection() {
    let expected = [
        (
            &b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"[..],
            "close",
        ),
        (
            b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n",
            "keep-alive",
        ),
        (
            b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n",
            "close",
        ),
        (UNTIL_CLOSE, "close"),
    ];
    for (response, option) in expected {
        let script = [(ToServer, GET), (ToClient, response), (ToClient, b"")];
        let replaced = relay(|| vec![status(None)], &script).text();
        assert!(
            replaced.contains(&format!("Connection: {option}\r\n")),
            "{replaced}"
        );
        assert!(replaced.ends_with("`http_status`\n"), "{replaced}");
    }
}

#[test]
fn responses_to_head_have_no_body() {
    let head = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    let to_head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let script = [
        (ToServer, &[&head[..], GET].concat()[..]),
        (ToClient, &[&to_head[..], HELLO].concat()[..]),
    ];
    let one = replacement();
    let (one_head, _) = one.split_at(one.find("\r\n\r\n").unwrap() + 4);
    let replaced = relay(|| vec![status(None)], &script);
    assert_eq!(replaced.text(), [one_head, &one].concat());
    // Only bodies are counted.
    let cut = relay(|| vec![truncated(2)], &script);
    assert_eq!(
        cut.text(),
        [text(to_head), &text(HELLO)[..HELLO.len() - 3]].concat()
    );
    assert!(cut.closed);
}

#[test]
fn requests_with_bodies_are_no_requests_inside() {
    let inner = text(GET).len();
    let sized = format!(
        "POST / HTTP/1.1\r\nContent-Length: {inner}\r\n\r\n{}",
        text(GET)
    );
    let chunked = format!(
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n{inner:x}\r\n{}\r\n0\r\n\r\n",
        text(GET)
    );
    for request in [sized, chunked] {
        let script = [
            (ToServer, request.as_bytes()),
            (ToClient, HELLO),
            (ToClient, HELLO),
        ];
        let relayed = relay(|| vec![status(None)], &script);
        relayed.expect_miss("http_status", "answers no request");
        assert_eq!(relayed.text(), [&replacement(), text(HELLO)].concat());
    }
}

#[test]
fn body_is_truncated_before_its_end() {
    let (sized, until_close) = (text(HELLO), text(UNTIL_CLOSE));
    let chunked = text(CHUNKED);
    let expected = [
        (HELLO, 0, sized.strip_suffix("hello")),
        (HELLO, 2, sized.strip_suffix("llo")),
        (HELLO, 4, sized.strip_suffix("o")),
        (HELLO, 5, sized.strip_suffix("o")),
        (HELLO, u64::MAX, sized.strip_suffix("o")),
        (
            CHUNKED,
            0,
            chunked.strip_suffix("5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n"),
        ),
        (CHUNKED, 3, chunked.strip_suffix("lo\r\n0\r\nA: b\r\n\r\n")),
        (CHUNKED, 9, chunked.strip_suffix("0\r\nA: b\r\n\r\n")),
        (UNTIL_CLOSE, 0, until_close.strip_suffix("hello")),
        (UNTIL_CLOSE, 2, until_close.strip_suffix("llo")),
        (UNTIL_CLOSE, 4, until_close.strip_suffix("o")),
        (UNTIL_CLOSE, 5, until_close.strip_suffix("o")),
    ];
    for (response, after, passed) in expected {
        let script = [(ToServer, GET), (ToClient, response), (ToClient, b"")];
        let cut = relay(|| vec![truncated(after)], &script);
        assert_eq!(cut.text(), passed.unwrap(), "{after}");
        assert!(cut.closed && cut.missed.is_empty(), "{after}");
    }
}

#[test]
fn body_of_a_replacement_is_truncated_too() {
    let script = [(ToServer, GET), (ToClient, CHUNKED)];
    let cut = relay(|| vec![truncated(9), status(None), truncated(3)], &script);
    let one = replacement();
    let (head, _) = one.split_at(one.find("\r\n\r\n").unwrap() + 4);
    assert_eq!(cut.text(), format!("{head}503"));
    assert!(cut.closed);
}

#[test]
fn undo_releases_a_held_head() {
    for place in 1..HELLO.len() {
        let mut connection = RelayedConnection::new(Vec::new());
        let id = connection.conditions.add(Condition::Http(status(None)));
        connection.receive(ToServer, GET);
        connection.receive(ToClient, &HELLO[..place]);
        assert!(connection.relay.release(&connection.conditions).is_none());
        connection.conditions.remove(id);
        let released = connection.relay.release(&connection.conditions);
        assert_eq!(released.is_some(), place < HELLO.len() - b"hello".len());
        if let Some(released) = released {
            connection.deliver(ToClient, released);
            assert_eq!(connection.delivered.to_client, HELLO[..place]);
        }
        connection.receive(ToClient, &HELLO[place..]);
        let end = connection.end();
        let is_whole = end.to_client == HELLO || end.text() == replacement();
        assert!(is_whole && end.missed.is_empty(), "{place}: {end:?}");
    }
}

#[test]
fn fault_acts_from_the_next_response_on() {
    for place in 1..HELLO.len() {
        let mut connection = RelayedConnection::new(Vec::new());
        connection.receive(ToServer, &[GET, GET].concat());
        connection.receive(ToClient, &HELLO[..place]);
        connection.conditions.add(Condition::Http(status(None)));
        connection.receive(ToClient, &HELLO[place..]);
        connection.receive(ToClient, HELLO);
        let end = connection.end();
        assert_eq!(end.text(), [text(HELLO), &replacement()].concat());
        assert!(end.missed.is_empty());
    }
}
