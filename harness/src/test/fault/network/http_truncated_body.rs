//! A fault that ends a connection in the body of a response of HTTP.

use super::http_selection::{HttpSelection, HttpTarget};
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{Condition, Direction, HttpCondition, Link};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The exclusive upper bound of the drawn number of bytes. Short bodies are shorter than this
/// bound.
const DRAWN: u64 = 512;

/// Ends connections in the body of a response, as a server does that dies. The head passes
/// unchanged. The body is shorter than the head declares, or lacks its last chunk. Then the
/// connection is closed.
///
/// If the head declares no length and no chunks, the body ends with the connection. Its last byte
/// is then missing, which no client can notice. Responses without a body pass, and are not counted.
///
/// The fault acts on HTTP/1.0 and HTTP/1.1 in clear. If the link carries TLS, HTTP/2, an upgraded
/// connection, or messages with a framing that is not certain, the test fails, with the reason.
#[derive(Clone, Debug)]
pub struct HttpTruncatedBody {
    target: HttpTarget,
    after: Option<u64>,
}

/// The plan of an [`HttpTruncatedBody`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpTruncatedBodyPlan {
    /// The truncated responses. Only responses with a body are counted.
    pub responses: HttpSelection,
    /// The largest number of bytes of the content that pass. The last byte or the last chunk never
    /// passes.
    pub after: u64,
}

impl HttpTruncatedBody {
    /// Truncates the bodies of all responses on this link after a drawn number of bytes, 0 to 511.
    pub fn new(link: &Link) -> Self {
        Self {
            target: HttpTarget::of(link),
            after: None,
        }
    }

    /// Lets at most this number of bytes of the content pass. Of a shorter body, all bytes pass
    /// except for the last byte or the last chunk.
    #[must_use]
    pub fn after(self, bytes: u64) -> Self {
        Self {
            after: Some(bytes),
            ..self
        }
    }

    /// Truncates each body with this chance, 1 to 100 percent.
    #[must_use]
    pub fn with_percent(self, percent: u8) -> Self {
        Self {
            target: self.target.with_percent(percent),
            ..self
        }
    }

    /// Truncates only the `n`-th body after the injection, counted from 1. The responses of all
    /// connections are counted together.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        Self {
            target: self.target.nth(n),
            ..self
        }
    }
}

impl Fault for HttpTruncatedBody {
    type Plan = HttpTruncatedBodyPlan;
    const KIND: &'static str = "http_truncated_body";

    fn describe(plan: &HttpTruncatedBodyPlan, target: &str) -> String {
        let which = plan.responses.words("bodies");
        format!("{which} on {target} truncated after {} bytes", plan.after)
    }

    fn target(&self) -> String {
        self.target.link.name.clone()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<HttpTruncatedBodyPlan, FaultError> {
        let drawn = rng.random_range(0..DRAWN);
        Ok(HttpTruncatedBodyPlan {
            responses: self.target.draw(rng)?,
            after: self.after.unwrap_or(drawn),
        })
    }

    fn apply(
        &self,
        plan: &HttpTruncatedBodyPlan,
        _injection: &Injection,
    ) -> Result<Undo, FaultError> {
        let condition = HttpCondition::TruncatedBody {
            choice: plan.responses.choice(Direction::ToClient),
            after: plan.after,
        };
        self.target.link.put(Condition::Http(condition))
    }
}
