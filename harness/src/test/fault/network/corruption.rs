//! A bit that arrives as another.

use super::Target;
use crate::test::fault::{Fault, FaultError, Undo};
use crate::test::network::{Condition, Direction, Link};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Which byte is damaged is drawn from so many.
const DRAWN: u64 = 512;

/// Flips one bit of what passes a link. TCP's own sum has 16 bits, and what damages bytes in a router or a network card's memory need not break it.
#[derive(Clone, Debug)]
pub struct Corruption {
    target: Target,
    direction: Direction,
    byte: Option<u64>,
}

/// Which bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorruptionPlan {
    /// Which way the byte goes.
    pub direction: Direction,
    /// Its number, from 0, counted from the injection.
    pub byte: u64,
    /// Which of its bits, from 0, the lowest.
    pub bit: u8,
}

impl Corruption {
    /// Flips a bit of one of the next 512 bytes that go this way, which is drawn.
    pub fn of(link: &Link, direction: Direction) -> Self {
        Self {
            target: Target::of(link),
            direction,
            byte: None,
        }
    }

    /// Flips a bit of exactly that byte, from 0.
    #[must_use]
    pub fn byte(self, byte: u64) -> Self {
        Self {
            byte: Some(byte),
            ..self
        }
    }
}

impl Fault for Corruption {
    type Plan = CorruptionPlan;
    const KIND: &'static str = "corruption";

    fn describe(plan: &CorruptionPlan, target: &str) -> String {
        let direction = plan.direction.words();
        let (bit, byte) = (plan.bit, plan.byte);
        format!("bit {bit} of byte {byte} on {target} flipped {direction}")
    }

    fn target(&self) -> String {
        self.target.name.clone()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<CorruptionPlan, FaultError> {
        let (byte, bit) = (rng.random_range(0..DRAWN), rng.random_range(0..8));
        Ok(CorruptionPlan {
            direction: self.direction,
            byte: self.byte.unwrap_or(byte),
            bit,
        })
    }

    fn apply(&self, plan: &CorruptionPlan, _scratch: &Path) -> Result<Undo, FaultError> {
        if plan.bit > 7 {
            return Err(FaultError::unfit("a bit from 0 to 7", plan.bit.to_string()));
        }
        Ok(self.target.put(Condition::Corruption {
            direction: plan.direction,
            left: Some(plan.byte),
            bit: plan.bit,
        }))
    }
}
