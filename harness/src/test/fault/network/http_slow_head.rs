//! A fault that delays the heads of messages of HTTP.

use super::http_selection::{HttpSelection, HttpTarget};
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{Condition, Direction, HeadPiece, HttpCondition, Link};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Duration;

/// The range of the drawn delay of each line, in milliseconds.
const DRAWN: Range<u64> = 1..200;

/// Delays the lines or bytes of the heads of messages, one after the other, as a server does that
/// is short of time. By default, these are the heads of responses. With [`Direction::ToServer`], a
/// client is slow instead, as in an attack that keeps connections busy.
///
/// The body passes after its head, without a further delay. The heads of interim responses are
/// delayed, too. After the undo, delayed bytes are delivered at once.
///
/// The fault acts on HTTP/1.0 and HTTP/1.1 in clear. If the link carries TLS, HTTP/2, an upgraded
/// connection, or messages with a framing that is not certain, the test fails, with the reason.
#[derive(Clone, Debug)]
pub struct HttpSlowHead {
    target: HttpTarget,
    direction: Direction,
    delay: Option<Duration>,
    piece: HeadPiece,
}

/// The plan of an [`HttpSlowHead`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpSlowHeadPlan {
    /// The messages with a delayed head.
    pub messages: HttpSelection,
    /// The delayed direction.
    pub direction: Direction,
    /// The delay of each piece after the piece before, in milliseconds.
    pub delay_ms: u64,
    /// The delayed pieces.
    pub piece: HeadPiece,
}

impl HttpSlowHead {
    /// Delays each line of the heads of all responses on this link by a drawn time, 1 to 199 ms.
    pub fn new(link: &Link) -> Self {
        Self {
            target: HttpTarget::of(link),
            direction: Direction::ToClient,
            delay: None,
            piece: HeadPiece::Line,
        }
    }

    /// Delays each line or byte by `delay`, rounded down to whole milliseconds.
    #[must_use]
    pub fn with_delay(self, delay: Duration) -> Self {
        Self {
            delay: Some(delay),
            ..self
        }
    }

    /// Delays each byte instead of each line.
    #[must_use]
    pub fn by_bytes(self) -> Self {
        Self {
            piece: HeadPiece::Byte,
            ..self
        }
    }

    /// Delays the heads in this direction: of responses, of requests, or of both.
    #[must_use]
    pub fn towards(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }

    /// Delays each head with this chance, 1 to 100 percent.
    #[must_use]
    pub fn with_percent(self, percent: u8) -> Self {
        Self {
            target: self.target.with_percent(percent),
            ..self
        }
    }

    /// Delays only the head of the `n`-th message after the injection, counted from 1. The messages
    /// of all connections are counted together, separately for each direction.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        Self {
            target: self.target.nth(n),
            ..self
        }
    }
}

impl Fault for HttpSlowHead {
    type Plan = HttpSlowHeadPlan;
    const KIND: &'static str = "http_slow_head";

    fn describe(plan: &HttpSlowHeadPlan, target: &str) -> String {
        let which = plan.messages.words("heads");
        let piece = match plan.piece {
            HeadPiece::Line => "line",
            HeadPiece::Byte => "byte",
        };
        let direction = plan.direction.words();
        format!(
            "{which} on {target} delayed by {} ms for each {piece} {direction}",
            plan.delay_ms
        )
    }

    fn target(&self) -> String {
        self.target.link.name.clone()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<HttpSlowHeadPlan, FaultError> {
        let drawn = rng.random_range(DRAWN);
        Ok(HttpSlowHeadPlan {
            messages: self.target.draw(rng)?,
            direction: self.direction,
            delay_ms: self.delay.map_or(Ok(drawn), super::milliseconds)?,
            piece: self.piece,
        })
    }

    fn apply(&self, plan: &HttpSlowHeadPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        let condition = HttpCondition::SlowHead {
            choice: plan.messages.choice(plan.direction),
            delay: Duration::from_millis(plan.delay_ms),
            piece: plan.piece,
        };
        self.target.link.put(Condition::Http(condition))
    }
}
