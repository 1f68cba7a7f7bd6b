//! A connection that ends in the middle.

use super::LinkTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{Condition, ConnectionEnd, Direction, Link};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The number of bytes among which the place of the cut is drawn: heads and short bodies.
const DRAWN: u64 = 512;

/// Ends one connection of a link after a number of bytes, by a reset. Bytes are counted from the
/// injection on, over all connections. After the cut the fault is over, and the next connection is
/// whole.
#[derive(Clone, Debug)]
pub struct ConnectionCut {
    target: LinkTarget,
    direction: Direction,
    after: Option<u64>,
    end: ConnectionEnd,
}

/// The place of the cut, and its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionCutPlan {
    /// The direction of the bytes that are counted.
    pub direction: Direction,
    /// The number of bytes that pass.
    pub after: u64,
    /// The end of the connection that has the next byte.
    pub end: ConnectionEnd,
}

impl ConnectionCut {
    /// Cuts a connection after 0 to 511 bytes of this direction, which is drawn.
    pub fn new(link: &Link, direction: Direction) -> Self {
        Self {
            target: LinkTarget::of(link),
            direction,
            after: None,
            end: ConnectionEnd::Reset,
        }
    }

    /// Lets exactly this number of bytes pass.
    #[must_use]
    pub fn after(self, bytes: u64) -> Self {
        Self {
            after: Some(bytes),
            ..self
        }
    }

    /// Ends the connection as if both sides had closed it: neither side sees an error.
    #[must_use]
    pub fn by_closing(self) -> Self {
        Self {
            end: ConnectionEnd::Close,
            ..self
        }
    }

    /// Ends this direction alone.
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
        Ok(self.target.put(Condition::ConnectionCut {
            direction: plan.direction,
            left: Some(plan.after),
            end: plan.end,
        }))
    }
}
