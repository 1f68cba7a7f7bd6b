//! Applies the faults of HTTP/1.1 to the bytes of a connection.

use super::condition::{Arrival, Conditions};
use super::direction::Direction;
use super::http::{CompleteHead, Exchange, Framing, HttpCondition, Part, ResponseHead, Step};
use super::relayed_bytes::RelayedBytes;
use super::slow_heads::SlowHeads;
use crate::test::missed_faults::MissedFaults;

/// Reads the messages of a connection, and applies the faults in effect to them.
// Messages are read without a fault, too: a fault can be injected while a connection is open, and
// must then know where the next message begins.
#[derive(Debug)]
pub(super) struct HttpRelay {
    link: String,
    missed: MissedFaults,
    exchange: Exchange,
    slow_requests: SlowHeads,
    slow_responses: SlowHeads,
    response: ResponseState,
}

/// The state of the response that the server sends now.
#[derive(Debug, Default)]
struct ResponseState {
    has_begun: bool,
    /// The bytes of an incomplete head, while a fault can replace the response.
    held: Option<Vec<u8>>,
    effect: BodyEffect,
}

/// The effect of faults on the body of a response.
#[derive(Debug, Default)]
enum BodyEffect {
    #[default]
    None,
    /// The link has sent another response, so the rest of the server's response is discarded.
    Replaced,
    /// After `left` more bytes of content, and before the end of the body, the connection ends.
    Truncated {
        left: u64,
        /// Bytes that are delivered only if more content follows.
        held: Vec<u8>,
        framing: Framing,
    },
    /// The link has ended the connection.
    Closed,
}

impl HttpRelay {
    /// Returns the relay of a new connection. `link` is the link's name in reports.
    pub(super) fn new(link: String, missed: MissedFaults) -> Self {
        Self {
            link,
            missed,
            exchange: Exchange::new(),
            slow_requests: SlowHeads::default(),
            slow_responses: SlowHeads::default(),
            response: ResponseState::default(),
        }
    }

    /// Returns the bytes to deliver for `bytes`, which were received now. An empty slice is the end
    /// of the stream.
    pub(super) fn relay(
        &mut self,
        direction: Direction,
        conditions: &Conditions,
        arrival: Arrival,
        bytes: &[u8],
    ) -> RelayedBytes {
        let mut output = RelayedBytes::new(arrival);
        if bytes.is_empty() {
            self.end(direction, conditions, &mut output);
            return output;
        }
        let mut rest = bytes;
        while !rest.is_empty() && !self.has_closed() {
            let Some(step) = self.exchange.read(direction, rest) else {
                self.pass_unknown(direction, conditions, rest, &mut output);
                break;
            };
            let (part, after) = rest.split_at(step.length);
            rest = after;
            match direction {
                Direction::ToClient => self.pass_response(conditions, &step, part, &mut output),
                Direction::ToServer | Direction::Both => {
                    if step.part == Part::Head {
                        let slow = &mut self.slow_requests;
                        slow.push(direction, conditions, part, &mut output);
                    } else {
                        output.push(part, &[]);
                    }
                    if step.is_end {
                        self.slow_requests.end_message();
                    }
                }
            }
        }
        output
    }

    /// Returns the bytes that are held for faults that are no longer in effect.
    pub(super) fn release(&mut self, conditions: &Conditions) -> Option<RelayedBytes> {
        if self.response.held.is_none() || can_replace(conditions) {
            return None;
        }
        let mut output = RelayedBytes::new(conditions.arrive(Direction::ToClient));
        self.release_head(conditions, &mut output);
        Some(output)
    }

    /// Whether the link has ended the connection.
    pub(super) fn has_closed(&self) -> bool {
        matches!(self.response.effect, BodyEffect::Closed)
    }

    /// Passes bytes whose place in a message is not known. Each fault in effect then fails the
    /// test.
    fn pass_unknown(
        &mut self,
        direction: Direction,
        conditions: &Conditions,
        bytes: &[u8],
        output: &mut RelayedBytes,
    ) {
        let reason = self.exchange.unknown().unwrap_or_default().to_owned();
        self.miss(conditions, &reason);
        if direction == Direction::ToClient {
            match std::mem::take(&mut self.response.effect) {
                BodyEffect::None => self.release_head(conditions, output),
                BodyEffect::Replaced => {
                    // The bytes would follow the response that replaced their beginning.
                    self.miss_kind("http_status", &reason);
                    return self.close(output);
                }
                BodyEffect::Truncated { held, .. } => {
                    self.miss_kind("http_truncated_body", &reason);
                    output.push(&held, &[]);
                }
                BodyEffect::Closed => {}
            }
        }
        output.push(bytes, &[]);
    }

    fn pass_response(
        &mut self,
        conditions: &Conditions,
        step: &Step,
        bytes: &[u8],
        output: &mut RelayedBytes,
    ) {
        if step.part == Part::Head {
            if !self.response.has_begun {
                self.response.has_begun = true;
                self.response.held = can_replace(conditions).then(Vec::new);
            }
            match &mut self.response.held {
                Some(held) => held.extend_from_slice(bytes),
                None => self.push_head(conditions, bytes, output),
            }
        } else {
            self.pass_body(step.part, bytes, output);
        }
        match &step.head {
            Some(CompleteHead::InterimResponse) => {
                self.release_head(conditions, output);
                self.response.has_begun = false;
            }
            Some(CompleteHead::Response(head)) => self.decide(conditions, head, output),
            Some(CompleteHead::Request) | None => {}
        }
        if step.is_end && !self.has_closed() {
            self.response = ResponseState::default();
            self.slow_responses.end_message();
        }
    }

    /// Decides about the response with this complete head: passes the head or its replacement.
    fn decide(&mut self, conditions: &Conditions, head: &ResponseHead, output: &mut RelayedBytes) {
        let direction = Direction::ToClient;
        let mut replacement = None;
        if self.response.held.is_some() {
            conditions.each_http(|_, condition| {
                if let HttpCondition::Status {
                    choice,
                    replacement: with,
                } = condition
                    && choice.draw(direction)
                {
                    replacement.get_or_insert(*with);
                }
            });
        }
        let replaced = replacement.map(|replacement| replacement.render(head));
        let framing = match &replaced {
            Some((_, body)) => Framing::Length(body.len() as u64),
            None => head.framing,
        };
        let mut limit: Option<u64> = None;
        if !framing.is_empty() {
            conditions.each_http(|_, condition| {
                if let HttpCondition::TruncatedBody { choice, after } = condition
                    && choice.draw(direction)
                {
                    limit = Some(limit.map_or(*after, |limit| limit.min(*after)));
                }
            });
        }
        if let Some((head, _)) = &replaced {
            self.response.held = None;
            self.push_head(conditions, head, output);
        } else {
            self.release_head(conditions, output);
        }
        if let Some(limit) = limit {
            let left = match framing {
                Framing::Length(length) => limit.min(length.saturating_sub(1)),
                Framing::Chunked | Framing::UntilClose => limit,
            };
            self.response.effect = BodyEffect::Truncated {
                left,
                held: Vec::new(),
                framing,
            };
            // Passes no byte, but ends the connection if no byte may pass.
            self.pass_body(Part::Data, &[], output);
        }
        if let Some((_, body)) = &replaced
            && !self.has_closed()
        {
            self.pass_body(Part::Data, body, output);
            if !self.has_closed() {
                self.response.effect = BodyEffect::Replaced;
            }
        }
    }

    /// Passes bytes of a body.
    fn pass_body(&mut self, part: Part, bytes: &[u8], output: &mut RelayedBytes) {
        let (left, held, framing) = match &mut self.response.effect {
            BodyEffect::None => return output.push(bytes, &[]),
            BodyEffect::Replaced | BodyEffect::Closed => return,
            BodyEffect::Truncated {
                left,
                held,
                framing,
            } => (left, held, *framing),
        };
        match part {
            Part::Head | Part::ChunkEnd => output.push(bytes, &[]),
            Part::ChunkSize => held.extend_from_slice(bytes),
            Part::LastChunk => self.close(output),
            Part::Data if framing == Framing::UntilClose => {
                // Every length is valid for this framing. So the last byte is held until another
                // one follows: it never passes.
                held.extend_from_slice(bytes);
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let passed = most.min(held.len().saturating_sub(1));
                output.push(&held[..passed], &[]);
                held.drain(..passed);
                *left -= passed as u64;
                if *left == 0 && !held.is_empty() {
                    self.close(output);
                }
            }
            Part::Data => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let passed = &bytes[..most.min(bytes.len())];
                if !passed.is_empty() {
                    output.push(&std::mem::take(held), &[]);
                }
                output.push(passed, &[]);
                *left -= passed.len() as u64;
                if *left == 0 {
                    self.close(output);
                }
            }
        }
    }

    /// Ends the connection after the bytes so far.
    fn close(&mut self, output: &mut RelayedBytes) {
        self.response.effect = BodyEffect::Closed;
        output.end(true);
    }

    /// Handles the end of the stream.
    fn end(&mut self, direction: Direction, conditions: &Conditions, output: &mut RelayedBytes) {
        if direction != Direction::ToClient {
            return output.end(false);
        }
        if self
            .response
            .held
            .as_ref()
            .is_some_and(|held| !held.is_empty())
        {
            if can_replace(conditions) {
                let reason = "the server ends the connection in the head of a response";
                self.miss_kind("http_status", reason);
            }
            self.release_head(conditions, output);
        }
        match &self.response.effect {
            BodyEffect::Truncated { .. } => self.close(output),
            _ => output.end(false),
        }
    }

    /// Passes the held bytes of a head. The response can then no longer be replaced.
    fn release_head(&mut self, conditions: &Conditions, output: &mut RelayedBytes) {
        if let Some(held) = self.response.held.take() {
            self.push_head(conditions, &held, output);
        }
    }

    fn push_head(&mut self, conditions: &Conditions, bytes: &[u8], output: &mut RelayedBytes) {
        let slow = &mut self.slow_responses;
        slow.push(Direction::ToClient, conditions, bytes, output);
    }

    /// Records that no fault of HTTP in effect can act.
    fn miss(&self, conditions: &Conditions, reason: &str) {
        let mut kinds = Vec::new();
        conditions.each_http(|_, condition| {
            if !condition.is_over() {
                kinds.push(condition.kind());
            }
        });
        for kind in kinds {
            self.miss_kind(kind, reason);
        }
    }

    fn miss_kind(&self, kind: &str, reason: &str) {
        let link = &self.link;
        self.missed.add(format!(
            "{kind} on link {link}: {reason}; faults of HTTP act only on HTTP/1.1 in clear, whose \
             framing is certain"
        ));
    }
}

/// Whether a fault in effect can replace the next response.
fn can_replace(conditions: &Conditions) -> bool {
    let mut replaces = false;
    conditions.each_http(|_, condition| {
        replaces |= matches!(condition, HttpCondition::Status { .. }) && !condition.is_over();
    });
    replaces
}

#[cfg(test)]
mod tests;
