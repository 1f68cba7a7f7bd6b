//! The heads of requests and responses.

use super::framing::{self, Framing};
use httparse::{Error, Header, Request, Response};

/// The longest start of a head that is checked before its first line is complete.
const START: usize = 256;

/// The parts of a request's method that decide about the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Head,
    Connect,
    Other,
}

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestHead {
    pub(super) method: Method,
    pub(super) framing: Framing,
    /// Whether the client may wait for an interim response before it sends the body.
    pub(super) expects_continue: bool,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::test::network) struct ResponseHead {
    pub(super) status: u16,
    /// The minor version: 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub(super) minor: u8,
    pub(in crate::test::network) framing: Framing,
    /// Whether the response to this request can have a body.
    pub(in crate::test::network) allows_body: bool,
    /// Whether the connection stays open after the response.
    pub(super) persists: bool,
    /// The protocol that the connection has from now on, if the status is 101.
    pub(super) upgrade: Option<String>,
}

/// Checks the first bytes of a request's head.
///
/// # Errors
///
/// When no request of HTTP/1.0 or HTTP/1.1 starts with these bytes.
pub(super) fn check_request_start(start: &[u8]) -> Result<(), String> {
    if is_tls(start) {
        return Err("the client speaks TLS".to_owned());
    }
    if start.starts_with(b"PRI * HTTP/2") {
        return Err("the client speaks HTTP/2 (its connection preface)".to_owned());
    }
    if !has_line(start) && start.len() > START {
        return Ok(());
    }
    match Request::new(&mut []).parse(start) {
        Ok(_) | Err(Error::TooManyHeaders) => Ok(()),
        Err(error) => Err(format!(
            "the client sends no HTTP/1.1 request ({error}): `{}`",
            excerpt(start)
        )),
    }
}

/// Checks the first bytes of a response's head.
///
/// # Errors
///
/// When no response of HTTP/1.0 or HTTP/1.1 starts with these bytes.
pub(super) fn check_response_start(start: &[u8]) -> Result<(), String> {
    let version = b"HTTP/1.";
    let length = start.len().min(version.len());
    if start[..length] == version[..length] {
        return Ok(());
    }
    match is_tls(start) {
        true => Err("the server speaks TLS".to_owned()),
        false => Err(format!(
            "the server sends no HTTP/1.1 response: `{}`",
            excerpt(start)
        )),
    }
}

/// Whether a record of TLS starts with these bytes: a handshake or an alert.
fn is_tls(start: &[u8]) -> bool {
    matches!(start, [0x15 | 0x16] | [0x15 | 0x16, 3, ..])
}

fn has_line(start: &[u8]) -> bool {
    start.contains(&b'\n')
}

fn excerpt(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(40)];
    shown.escape_ascii().to_string()
}

/// Parses the complete head of a request.
///
/// # Errors
///
/// When the head is malformed, or its framing is ambiguous.
pub(super) fn parse_request(head: &[u8]) -> Result<RequestHead, String> {
    let mut headers = no_headers(head);
    let mut request = Request::new(&mut headers);
    let parsed = request.parse(head);
    check_parsed(parsed).map_err(|error| format!("a malformed request: {error}"))?;
    let headers = &*request.headers;
    let framing = framing::declared(headers, request.version.unwrap_or_default())
        .map_err(|error| format!("a request with {error}"))?;
    let mut expectations = framing::tokens(headers, "expect");
    Ok(RequestHead {
        method: match request.method {
            Some("HEAD") => Method::Head,
            Some("CONNECT") => Method::Connect,
            _ => Method::Other,
        },
        framing: framing.unwrap_or(Framing::EMPTY),
        expects_continue: expectations.any(|token| token.eq_ignore_ascii_case(b"100-continue")),
    })
}

/// Parses the complete head of a response to a request with this method.
///
/// # Errors
///
/// When the head is malformed, or its framing is ambiguous.
pub(super) fn parse_response(head: &[u8], method: Method) -> Result<ResponseHead, String> {
    let mut headers = no_headers(head);
    let mut response = Response::new(&mut headers);
    let parsed = response.parse(head);
    check_parsed(parsed).map_err(|error| format!("a malformed response: {error}"))?;
    let headers = &*response.headers;
    let minor = response.version.unwrap_or_default();
    let status = response.code.unwrap_or_default();
    let allows_body = method != Method::Head;
    let framing = match status {
        _ if !allows_body => Framing::EMPTY,
        304 => Framing::EMPTY,
        _ => {
            let declared = framing::declared(headers, minor)
                .map_err(|error| format!("a response with {error}"))?;
            match status {
                100..200 | 204 if declared.is_none_or(Framing::is_empty) => Framing::EMPTY,
                100..200 | 204 => return Err(format!("a response {status} with a body")),
                _ => declared.unwrap_or(Framing::UntilClose),
            }
        }
    };
    let mut options = framing::tokens(headers, "connection");
    let mut has_option = |option: &[u8]| options.any(|token| token.eq_ignore_ascii_case(option));
    let persists = match minor {
        0 => has_option(b"keep-alive"),
        _ => !has_option(b"close"),
    };
    let upgrade = framing::tokens(headers, "upgrade").next();
    let upgrade = upgrade.map_or_else(String::new, |token| token.escape_ascii().to_string());
    Ok(ResponseHead {
        status,
        minor,
        framing,
        allows_body,
        persists: persists && framing != Framing::UntilClose,
        upgrade: (status == 101).then_some(upgrade),
    })
}

/// Returns room for each header field of the head.
fn no_headers<'a>(head: &[u8]) -> Vec<Header<'a>> {
    let lines = head.iter().filter(|byte| **byte == b'\n').count();
    vec![httparse::EMPTY_HEADER; lines]
}

fn check_parsed(parsed: httparse::Result<usize>) -> Result<(), String> {
    match parsed {
        Ok(status) if status.is_complete() => Ok(()),
        Ok(_) => Err("its head is incomplete".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
