//! A fault that ends a connection in the middle of a transfer.

use super::LinkTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{Condition, ConnectionEnd, Direction, Link};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The exclusive upper bound of the drawn number of bytes before the cut. Message heads and short
/// bodies are shorter than this bound.
const DRAWN: u64 = 512;

/// Ends one connection of a link after a number of bytes, by default with a reset. From the
/// injection on, the bytes of all connections are counted together. But the fault cuts only one
/// connection.
#[derive(Clone, Debug)]
pub struct ConnectionCut {
    target: LinkTarget,
    direction: Direction,
    after: Option<u64>,
    end: ConnectionEnd,
}

/// The plan of a [`ConnectionCut`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionCutPlan {
    /// The direction of the counted bytes.
    pub direction: Direction,
    /// The number of bytes that pass before the cut.
    pub after: u64,
    /// The way in which the cut connection ends. The fault cuts the connection of the first byte
    /// that does not pass.
    pub end: ConnectionEnd,
}

impl ConnectionCut {
    /// Cuts a connection after a drawn number of bytes in this direction, 0 to 511.
    pub fn new(link: &Link, direction: Direction) -> Self {
        Self {
            target: LinkTarget::of(link),
            direction,
            after: None,
            end: ConnectionEnd::Reset,
        }
    }

    /// Lets exactly this number of bytes pass before the cut.
    #[must_use]
    pub fn after(self, bytes: u64) -> Self {
        Self {
            after: Some(bytes),
            ..self
        }
    }

    /// Closes the connection instead of resetting it: both sides read the end of the stream.
    #[must_use]
    pub fn by_closing(self) -> Self {
        Self {
            end: ConnectionEnd::Close,
            ..self
        }
    }

    /// Closes only the cut direction, instead of resetting the connection. The other direction
    /// stays open.
    #[must_use]
    pub fn by_half_closing(self) -> Self {
        Self {
            end: ConnectionEnd::HalfClose,
            ..self
        }
    }
}

impl Fault for ConnectionCut {
    type Plan = ConnectionCutPlan;
    const KIND: &'static str = "severance";

    fn describe(plan: &ConnectionCutPlan, target: &str) -> String {
        let how = match plan.end {
            ConnectionEnd::Reset => "reset",
            ConnectionEnd::Close => "closed",
            ConnectionEnd::HalfClose => "half closed",
        };
        let direction = plan.direction.words();
        format!("{target} {how} after {} bytes {direction}", plan.after)
    }

    fn target(&self) -> String {
        self.target.name.clone()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<ConnectionCutPlan, FaultError> {
        let drawn = rng.random_range(0..DRAWN);
        Ok(ConnectionCutPlan {
            direction: self.direction,
            after: self.after.unwrap_or(drawn),
            end: self.end,
        })
    }

    fn apply(&self, plan: &ConnectionCutPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        self.target.put(Condition::ConnectionCut {
            direction: plan.direction,
            left: Some(plan.after),
            end: plan.end,
        })
    }
}
