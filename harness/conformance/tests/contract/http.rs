//! Faults of links that carry HTTP/1.1.

use crate::suite;
use clarity_chaos::{EventKind, Verdict};
use clarity_chaos_conformance::limits::leave_out;

/// Whether the test ran. The tests with programs are skipped where a program is missing.
fn ran(test: &str, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Skipped { reason } if reason.starts_with("there is no ") => {
            leave_out(&format!("{test}: {reason}"));
            false
        }
        _ => true,
    }
}

#[test]
fn http_faults_act_on_the_chosen_messages() {
    let done = suite().run(["http::", "--skip", "drawn", "--skip", "unknown_framing"]);
    assert_eq!(done.code, Some(0), "{}", done.stdout);
    assert_eq!(done.records.len(), 13);
    for (test, record) in &done.records {
        if ran(test, &record.verdict) {
            assert_eq!(record.verdict, Verdict::Passed, "{test}");
        }
        assert_eq!(record.faults_in_effect().count(), 0);
    }
    let has_sentence = |test: &str, sentence: &str| {
        let faults = &done.records[test].faults;
        assert!(
            faults.iter().any(|fault| fault.description == sentence),
            "{test}: {faults:?}"
        );
    };
    has_sentence(
        "http::status",
        "number 2 of the responses on link web replaced by status 503 with a retry after 2 s",
    );
    has_sentence(
        "http::truncated_body",
        "all bodies on link web truncated after 999 bytes",
    );
    has_sentence(
        "http::slow_head",
        "all heads on link web delayed by 30 ms for each byte to the client",
    );
}

#[test]
fn http_faults_that_cannot_act_fail_the_test() {
    let done = suite().run(["http::unknown_framing::"]);
    assert_eq!(done.code, Some(101), "{}", done.stdout);
    let cases = [
        ("tls", "http_status", "the client speaks TLS"),
        ("http2", "http_truncated_body", "the client speaks HTTP/2"),
        (
            "http2_upgrade",
            "http_slow_head",
            "upgrades the connection to `h2c`",
        ),
        ("tunnel", "http_status", "opens a tunnel"),
        (
            "websocket",
            "http_status",
            "upgrades the connection to `websocket`",
        ),
        (
            "websocket",
            "http_slow_head",
            "upgrades the connection to `websocket`",
        ),
        (
            "websocket_before",
            "http_status",
            "upgrades the connection to `websocket`",
        ),
        (
            "two_lengths",
            "http_status",
            "a request with several `Content-Length`",
        ),
        (
            "length_and_chunks",
            "http_status",
            "a response with both `Content-Length`",
        ),
        ("bare_line_feeds", "http_status", "a bare line feed"),
        (
            "fails_without_the_fault",
            "http_status",
            "no HTTP/1.1 response: `220",
        ),
        (
            "panics_without_the_fault",
            "http_status",
            "answer no request: `hello`",
        ),
    ];
    for (test, fault, reason) in cases {
        let test = format!("http::unknown_framing::{test}");
        let verdict = &done.records[&test].verdict;
        if !ran(&test, verdict) {
            continue;
        }
        let (Verdict::Failed { message } | Verdict::Panicked { message, .. }) = verdict else {
            panic!("{test}: {verdict:?}");
        };
        let begin = format!("a fault could not act: {fault} on link ");
        let mut parts = message.split(&begin).skip(1);
        assert!(parts.any(|part| part.contains(reason)), "{test}: {message}");
        let is_own = test.ends_with("_without_the_fault");
        assert_eq!(
            message.starts_with("a fault could not act: "),
            !is_own,
            "{message}"
        );
    }
    for test in ["refused_http2_upgrade", "websocket_elsewhere"] {
        let test = format!("http::unknown_framing::{test}");
        let verdict = &done.records[&test].verdict;
        if ran(&test, verdict) {
            assert_eq!(verdict, &Verdict::Passed, "{test}");
        }
    }
    let hung = &done.records["http::unknown_framing::hangs_without_the_fault"];
    assert!(matches!(hung.verdict, Verdict::TimedOut { .. }));
    let names_reason = |text: &str| text.starts_with("a fault could not act: http_status");
    assert!(hung.timeline.iter().any(|event| match &event.kind {
        EventKind::Note { text } => names_reason(text),
        _ => false,
    }));
}

#[test]
fn plan_of_http_faults_follows_from_the_seed() {
    let plan = |seed: &str| {
        let mut done = suite().run(["--exact", "http::drawn", "--seed", seed]);
        done.records.remove("http::drawn").unwrap().faults
    };
    let first = plan("7");
    assert_eq!(first.len(), 3);
    assert_eq!(first, plan("7"));
    assert_ne!(first, plan("8"));
}
