//! A fault that replaces responses of HTTP by an error status.

use super::http_selection::{HttpSelection, HttpTarget};
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{Condition, Direction, HttpCondition, Link, Replacement};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The drawn status codes: of a server that fails, and of a gateway before it.
const DRAWN: [u16; 4] = [500, 502, 503, 504];

/// Replaces the responses of a server by an error status, as an overloaded server or a gateway
/// does. The response has a short text as its body, and the connection stays open if the server
/// keeps it open.
///
/// The request reaches the server, whose response is discarded: a client that asks again can do the
/// work twice. Interim responses such as `100 Continue` pass. A response whose first byte arrived
/// before the injection passes.
///
/// The fault acts on HTTP/1.0 and HTTP/1.1 in clear. If the link carries TLS, HTTP/2, an upgraded
/// connection, or messages with a framing that is not certain, the test fails, with the reason.
///
/// ```no_run
/// # use clarity_chaos::fault::HttpStatus;
/// # use clarity_chaos::{Context, Result, chaos};
/// # use std::time::Duration;
/// # fn serve() -> Result<std::net::SocketAddr> { Ok(([127, 0, 0, 1], 80).into()) }
/// # fn ask(_server: std::net::SocketAddr) -> Result { Ok(()) }
/// /// A client asks again after the time that an overloaded server tells it.
/// #[chaos(non_destructive)]
/// fn overloaded_server(cx: Context) -> Result {
///     let link = cx.link("server", serve()?)?;
///     let overloaded = HttpStatus::new(&link).with_status(503).nth(1);
///     let wait = Duration::from_secs(1);
///     cx.inject(overloaded.with_retry_after(wait))?.until_end();
///     ask(link.addr())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct HttpStatus {
    target: HttpTarget,
    status: Option<u16>,
    retry_after: Option<Duration>,
}

/// The plan of an [`HttpStatus`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpStatusPlan {
    /// The replaced responses.
    pub responses: HttpSelection,
    /// The status code, 400 to 599.
    pub status: u16,
    /// The value of the header field `Retry-After`, in seconds.
    pub retry_after_s: Option<u64>,
}

impl HttpStatus {
    /// Replaces all responses on this link by a drawn status: 500, 502, 503 or 504.
    pub fn new(link: &Link) -> Self {
        Self {
            target: HttpTarget::of(link),
            status: None,
            retry_after: None,
        }
    }

    /// Replaces responses by this status, 400 to 599.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    /// Adds a header field `Retry-After` with this time, rounded down to whole seconds.
    #[must_use]
    pub fn with_retry_after(self, time: Duration) -> Self {
        Self {
            retry_after: Some(time),
            ..self
        }
    }

    /// Replaces each response with this chance, 1 to 100 percent.
    #[must_use]
    pub fn with_percent(self, percent: u8) -> Self {
        Self {
            target: self.target.with_percent(percent),
            ..self
        }
    }

    /// Replaces only the `n`-th response after the injection, counted from 1. The responses of all
    /// connections are counted together.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        Self {
            target: self.target.nth(n),
            ..self
        }
    }
}

impl Fault for HttpStatus {
    type Plan = HttpStatusPlan;
    const KIND: &'static str = "http_status";

    fn describe(plan: &HttpStatusPlan, target: &str) -> String {
        let which = plan.responses.words("responses");
        let retry_after = match plan.retry_after_s {
            Some(seconds) => format!(" with a retry after {seconds} s"),
            None => String::new(),
        };
        format!(
            "{which} on {target} replaced by status {}{retry_after}",
            plan.status
        )
    }

    fn target(&self) -> String {
        self.target.link.name.clone()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<HttpStatusPlan, FaultError> {
        let drawn = DRAWN[rng.random_range(0..DRAWN.len())];
        Ok(HttpStatusPlan {
            responses: self.target.draw(rng)?,
            status: check_status(self.status.unwrap_or(drawn))?,
            retry_after_s: self.retry_after.map(|time| time.as_secs()),
        })
    }

    fn apply(&self, plan: &HttpStatusPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        let condition = HttpCondition::Status {
            choice: plan.responses.choice(Direction::ToClient),
            replacement: Replacement {
                status: check_status(plan.status)?,
                retry_after: plan.retry_after_s,
            },
        };
        self.target.link.put(Condition::Http(condition))
    }
}

fn check_status(status: u16) -> Result<u16, FaultError> {
    match status {
        400..=599 => Ok(status),
        _ => Err(FaultError::unfit(
            "the status of an error, 400 to 599",
            status.to_string(),
        )),
    }
}
