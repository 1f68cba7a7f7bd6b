//! The requests and responses of a connection, and their borders.

use super::head::{self, Method, ResponseHead};
use super::http_reader::{HttpReader, Sender};
use super::part::Part;
use crate::test::network::direction::Direction;
use std::collections::VecDeque;

/// The messages of a connection.
#[derive(Debug)]
pub(in crate::test::network) struct Exchange {
    requests: HttpReader,
    responses: HttpReader,
    /// The methods of the requests that have no response yet, the oldest first.
    unanswered: VecDeque<Method>,
    /// Whether the client may wait for an interim response before it sends the body.
    awaits_continue: bool,
    /// The reason for which nothing is known about the next bytes of the client.
    undecided: Option<&'static str>,
    /// The reason for which the borders of messages are not known.
    unknown: Option<String>,
}

/// Bytes of one part of a message.
#[derive(Debug)]
pub(in crate::test::network) struct Step {
    pub(in crate::test::network) length: usize,
    pub(in crate::test::network) part: Part,
    /// The head that the bytes complete.
    pub(in crate::test::network) head: Option<CompleteHead>,
    /// Whether the bytes complete the message. Interim responses belong to the message of their
    /// final response.
    pub(in crate::test::network) is_end: bool,
}

/// A complete head.
#[derive(Debug)]
pub(in crate::test::network) enum CompleteHead {
    Request,
    /// A response that another response to the same request follows, such as `100 Continue`.
    InterimResponse,
    Response(ResponseHead),
}

impl Exchange {
    pub(in crate::test::network) fn new() -> Self {
        Self {
            requests: HttpReader::new(Sender::Client),
            responses: HttpReader::new(Sender::Server),
            unanswered: VecDeque::new(),
            awaits_continue: false,
            undecided: None,
            unknown: None,
        }
    }

    /// The reason for which the borders of messages are not known.
    pub(in crate::test::network) fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }

    /// Reads bytes of one part of a message. `bytes` must not be empty. Returns `None` if the
    /// borders of messages are not known, now and for the rest of the connection.
    pub(in crate::test::network) fn read(
        &mut self,
        direction: Direction,
        bytes: &[u8],
    ) -> Option<Step> {
        if self.unknown.is_some() {
            return None;
        }
        let read = match direction {
            Direction::ToClient => self.read_response(bytes),
            Direction::ToServer | Direction::Both => self.read_request(bytes),
        };
        read.map_err(|reason| self.unknown = Some(reason)).ok()
    }

    fn read_request(&mut self, bytes: &[u8]) -> Result<Step, String> {
        if let Some(reason) = self.undecided {
            return Err(reason.to_owned());
        }
        let (length, part) = self.requests.read(bytes)?;
        self.awaits_continue &= part == Part::Head;
        let mut step = Step {
            length,
            part,
            head: None,
            is_end: part != Part::Head && self.requests.is_in_head(),
        };
        if let Some(head) = self.requests.complete_head() {
            let head = head::parse_request(head)?;
            self.unanswered.push_back(head.method);
            self.awaits_continue = head.expects_continue && !head.framing.is_empty();
            if head.method == Method::Connect {
                self.undecided = Some(
                    "the client sends bytes after the head of a `CONNECT` request, before the \
                     response",
                );
            }
            step.head = Some(CompleteHead::Request);
            step.is_end = self.requests.begin_body(head.framing);
        }
        Ok(step)
    }

    fn read_response(&mut self, bytes: &[u8]) -> Result<Step, String> {
        let is_unasked = self.unanswered.is_empty();
        if self.responses.is_at_start() && is_unasked && !self.requests.is_at_start() {
            let shown = &bytes[..bytes.len().min(40)];
            let shown = shown.escape_ascii();
            return Err(format!(
                "the server sends bytes that answer no request: `{shown}`"
            ));
        }
        let (length, part) = self.responses.read(bytes)?;
        let mut step = Step {
            length,
            part,
            head: None,
            is_end: part != Part::Head && self.responses.is_in_head(),
        };
        if let Some(head) = self.responses.complete_head() {
            let method = self.unanswered.front().copied().unwrap_or(Method::Other);
            let head = head::parse_response(head, method)?;
            if let Some(protocol) = &head.upgrade {
                return Err(format!(
                    "the server upgrades the connection to `{protocol}`"
                ));
            }
            if method == Method::Connect {
                if matches!(head.status, 200..300) {
                    return Err("the server opens a tunnel for a `CONNECT` request".to_owned());
                }
                self.undecided.take_if(|_| head.status >= 200);
            }
            // RFC 9110, section 15.5.9: a server can close an idle connection with this response.
            let is_timeout = head.status == 408 && !head.persists;
            if is_unasked && !is_timeout {
                let status = head.status;
                return Err(format!(
                    "the server sends a response {status} that answers no request"
                ));
            }
            if head.status < 200 {
                self.awaits_continue = false;
                self.responses.begin_body(super::Framing::Length(0));
                step.head = Some(CompleteHead::InterimResponse);
                return Ok(step);
            }
            self.unanswered.pop_front();
            if self.awaits_continue && self.unanswered.is_empty() {
                self.undecided = Some(
                    "the client sends bytes after the final response to a request with `Expect: \
                     100-continue`, and they can be its body or the next request",
                );
            }
            step.is_end = self.responses.begin_body(head.framing);
            step.head = Some(CompleteHead::Response(head));
        }
        Ok(step)
    }
}
