//! Bytes whose place in a message is not known.

use super::*;

type MakeFault = fn() -> HttpCondition;

#[test]
fn unknown_framing_is_named_by_each_fault() {
    let chunked = |size: &str| {
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nhello\r\n0\r\n\r\n")
    };
    let request = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}\r\n\r\nhello");
    let response = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nhello");
    let get = text(GET).to_owned();
    let websocket = "Connection: upgrade\r\nUpgrade: websocket";
    let h2c = "Connection: upgrade\r\nUpgrade: h2c";
    let switching = |protocol: &str| {
        format!("HTTP/1.1 101 Switching Protocols\r\n{protocol}\r\n\r\n\u{0}\u{1}")
    };
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked";
    let twice = "Content-Length: 5\r\nContent-Length: 5";
    let cases: Vec<(String, String, &str)> = vec![
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            "\0\0\0\u{4}".to_owned(),
            "speaks HTTP/2",
        ),
        (
            "\u{16}\u{3}\u{1}\u{2}\0".to_owned(),
            "\u{16}\u{3}\u{3}".to_owned(),
            "client speaks TLS",
        ),
        (
            get.clone(),
            "\u{15}\u{3}\u{1}".to_owned(),
            "server speaks TLS",
        ),
        (
            request(websocket),
            switching(websocket),
            "upgrades the connection to `websocket`",
        ),
        (
            request(h2c),
            switching(h2c),
            "upgrades the connection to `h2c`",
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\n\r\n".to_owned(),
            response("x: y"),
            "opens a tunnel",
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\n\r\nx".to_owned(),
            String::new(),
            "after the head of a `CONNECT`",
        ),
        (request(both), response("x: y"), "a request with both"),
        (
            request(twice),
            response("x: y"),
            "a request with several `Content-Length`",
        ),
        (
            request("Content-Length: +5"),
            response("x: y"),
            "a `Content-Length` of `+5`",
        ),
        (
            request("Transfer-Encoding: chunked, x"),
            response("x: y"),
            "`Transfer-Encoding` of",
        ),
        (
            "GET / HTTP/1.1\nHost: a\n\n".to_owned(),
            response("x: y"),
            "a bare line feed",
        ),
        (
            "GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n".to_owned(),
            response("x: y"),
            "a bare carriage return",
        ),
        (
            "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n".to_owned(),
            response("x: y"),
            "malformed request",
        ),
        (
            "GET /\r\n".to_owned(),
            "hello".to_owned(),
            "no HTTP/1.1 request",
        ),
        ("hello".to_owned(), "hello".to_owned(), "answer no request"),
        (get.clone(), "hello".to_owned(), "no HTTP/1.1 response"),
        (
            get.clone(),
            "ICY 200 OK\r\n\r\n".to_owned(),
            "no HTTP/1.1 response",
        ),
        (get.clone(), response(both), "a response with both"),
        (
            get.clone(),
            response(twice),
            "a response with several `Content-Length`",
        ),
        (
            get.clone(),
            response("Content-Length: 5, 5"),
            "a `Content-Length` of `5, 5`",
        ),
        (
            get.clone(),
            response("Content-Length: 99999999999999999999"),
            "a `Content-Length` of",
        ),
        (
            get.clone(),
            response("Content-Length : 5"),
            "malformed response",
        ),
        (
            get.clone(),
            response("Transfer-Encoding: identity"),
            "a `Transfer-Encoding` of `identity`",
        ),
        (
            get.clone(),
            response("Transfer-Encoding: chunked, chunked"),
            "a `Transfer-Encoding` of",
        ),
        (
            get.clone(),
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            "in HTTP/1.0",
        ),
        (
            get.clone(),
            "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
            "204 with a body",
        ),
        (
            get.clone(),
            "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello".to_owned(),
            "a bare line feed",
        ),
        (
            get.clone(),
            [HELLO, HELLO].map(text).concat(),
            "a response 200 that answers no request",
        ),
        (
            get.clone(),
            [HELLO, b"x"].map(text).concat(),
            "no HTTP/1.1 response",
        ),
        (get.clone(), chunked("0x5"), "a chunk's size of `0x5"),
        (get.clone(), chunked("5 "), "a chunk's size of `5 "),
        (get.clone(), chunked("-5"), "a chunk's size of `-"),
        (get.clone(), chunked("4"), "longer than its size"),
        (
            get.clone(),
            chunked("fffffffffffffffff"),
            "a chunk's size of",
        ),
        (get, chunked("5;a\nb"), "a bare line feed"),
    ];
    let faults: [(&str, MakeFault); 3] = [
        ("http_status", || status(None)),
        ("http_truncated_body", || truncated(1)),
        ("http_slow_head", || slow(HeadPiece::Line)),
    ];
    for (request, response, reason) in &cases {
        for (kind, fault) in faults {
            let script = [
                (ToServer, request.as_bytes()),
                (ToClient, response.as_bytes()),
            ];
            let script = if response.is_empty() {
                &script[..1]
            } else {
                &script
            };
            let is_late = reason.contains("chunk") || reason.contains("size");
            let relayed = relay(|| vec![fault()], script);
            if kind == "http_truncated_body" && (is_late || relayed.closed) {
                // The body was truncated before its malformed part.
                assert!(relayed.closed || !relayed.missed.is_empty(), "{relayed:?}");
                continue;
            }
            relayed.expect_miss(kind, reason);
            assert!(relayed.missed[0].contains("on link a: "), "{relayed:?}");
            assert_eq!(text(&relayed.to_server), request);
        }
    }
}

#[test]
fn refused_upgrade_is_an_ordinary_response() {
    let websocket = b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let connect = b"CONNECT a:1 HTTP/1.1\r\n\r\n";
    let denied = b"HTTP/1.1 407 x\r\nContent-Length: 2\r\n\r\nno";
    for request in [&websocket[..], connect] {
        let script = [
            (ToServer, request),
            (ToClient, denied),
            (ToServer, GET),
            (ToClient, HELLO),
        ];
        let relayed = relay(|| vec![status(None)], &script);
        assert_eq!(relayed.text(), replacement().repeat(2));
        assert!(relayed.missed.is_empty(), "{relayed:?}");
    }
}

#[test]
fn body_that_may_never_come_makes_the_framing_unknown() {
    let request = b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n";
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let faults = || vec![status(None)];
    let script = [
        (ToServer, &request[..]),
        (ToClient, go_on),
        (ToServer, b"hello"),
        (ToClient, HELLO),
    ];
    let continued = relay(faults, &script);
    assert_eq!(continued.text(), [text(go_on), &replacement()].concat());
    assert!(continued.missed.is_empty());
    // The client does not wait.
    let script = [
        (ToServer, &request[..]),
        (ToServer, b"hello"),
        (ToClient, HELLO),
    ];
    assert!(relay(faults, &script).missed.is_empty());
    let script = [
        (ToServer, &request[..]),
        (ToClient, HELLO),
        (ToServer, b"hello"),
    ];
    let undecided = relay(faults, &script);
    undecided.expect_miss("http_status", "can be its body or the next request");
    assert_eq!(undecided.text(), replacement());
}

#[test]
fn head_without_an_end_is_named_and_passes() {
    let script = [(ToServer, GET), (ToClient, &HELLO[..20]), (ToClient, b"")];
    let ended = relay(|| vec![status(None)], &script);
    ended.expect_miss("http_status", "in the head of a response");
    assert_eq!(ended.text(), text(&HELLO[..20]));
}

#[test]
fn fault_that_has_acted_on_its_only_message_misses_nothing() {
    let switching = b"HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n";
    let script = [
        (ToServer, GET),
        (ToClient, HELLO),
        (ToServer, GET),
        (ToClient, switching),
    ];
    let relayed = relay(|| vec![status(Some(1))], &script);
    assert_eq!(relayed.text(), [&replacement(), text(switching)].concat());
    assert!(relayed.missed.is_empty(), "{relayed:?}");
    relay(|| vec![status(Some(2))], &script).expect_miss("http_status", "upgrades");
}

#[test]
fn timeout_of_an_idle_connection_is_a_response() {
    let timeout = b"HTTP/1.1 408 x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
    let script = [
        (ToServer, GET),
        (ToClient, &[HELLO, timeout].concat()[..]),
        (ToClient, b""),
    ];
    let relayed = relay(|| vec![status(Some(2))], &script);
    let closing = replacement().replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    assert_eq!(relayed.text(), [text(HELLO), &closing].concat());
    assert!(relayed.missed.is_empty(), "{relayed:?}");
    // The request that has begun can be a `HEAD`.
    let script = [(ToServer, &GET[..9]), (ToClient, timeout)];
    relay(|| vec![status(None)], &script).expect_miss("http_status", "answer no request");
}
