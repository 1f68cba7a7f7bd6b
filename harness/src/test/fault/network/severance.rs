//! A connection that ends in the middle.

use super::Target;
use crate::test::fault::{Fault, FaultError, Undo};
use crate::test::network::{Condition, Direction, Ending, Link};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where a connection is severed is drawn from so many bytes: heads and short bodies.
const DRAWN: u64 = 512;

/// Ends one connection of a link after so many bytes, by a reset unless told otherwise. Bytes are counted from the injection, over all connections;
/// when they have passed it is over, and the next connection is whole.
#[derive(Clone, Debug)]
pub struct Severance {
    target: Target,
    direction: Direction,
    after: Option<u64>,
    ending: Ending,
}

/// Where and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeverancePlan {
    /// Which way the bytes go that are counted.
    pub direction: Direction,
    /// How many of them pass.
    pub after: u64,
    /// How the connection of the next one ends.
    pub ending: Ending,
}

impl Severance {
    /// Severs a connection after 0 to 511 bytes that go this way, which is drawn.
    pub fn of(link: &Link, direction: Direction) -> Self {
        Self {
            target: Target::of(link),
            direction,
            after: None,
            ending: Ending::Reset,
        }
    }

    /// Lets exactly so many bytes pass.
    #[must_use]
    pub fn after(self, bytes: u64) -> Self {
        Self {
            after: Some(bytes),
            ..self
        }
    }

    /// Ends the connection as if both sides had closed it: what came is not known to be cut off.
    #[must_use]
    pub fn by_closing(self) -> Self {
        Self {
            ending: Ending::Close,
            ..self
        }
    }

    /// Ends this direction alone.
    #[must_use]
    pub fn by_half_closing(self) -> Self {
        Self {
            ending: Ending::HalfClose,
            ..self
        }
    }
}

impl Fault for Severance {
    type Plan = SeverancePlan;
    const KIND: &'static str = "severance";

    fn describe(plan: &SeverancePlan, target: &str) -> String {
        let how = match plan.ending {
            Ending::Reset => "reset",
            Ending::Close => "closed",
            Ending::HalfClose => "half closed",
        };
        let direction = plan.direction.words();
        format!("{target} {how} after {} bytes {direction}", plan.after)
    }

    fn target(&self) -> String {
        self.target.name.clone()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<SeverancePlan, FaultError> {
        let drawn = rng.random_range(0..DRAWN);
        Ok(SeverancePlan {
            direction: self.direction,
            after: self.after.unwrap_or(drawn),
            ending: self.ending,
        })
    }

    fn apply(&self, plan: &SeverancePlan, _scratch: &Path) -> Result<Undo, FaultError> {
        Ok(self.target.put(Condition::Severance {
            direction: plan.direction,
            left: Some(plan.after),
            ending: plan.ending,
        }))
    }
}
