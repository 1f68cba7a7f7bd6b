//! A fault that flips one bit of a byte that passes a link.

use super::LinkTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{Condition, Direction, Link};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The number of bytes from which the damaged byte is drawn. They are the first bytes after the
/// injection.
const DRAWN: u64 = 512;

/// Flips one bit of one byte that passes a link. Real networks also deliver damaged bytes. TCP's
/// checksum has only 16 bits, and misses damage in the memory of a router or a network card.
#[derive(Clone, Debug)]
pub struct Corruption {
    target: LinkTarget,
    direction: Direction,
    byte: Option<u64>,
}

/// The plan of a [`Corruption`]: the flipped bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CorruptionPlan {
    /// The direction of the damaged byte.
    pub direction: Direction,
    /// The number of the damaged byte. The first byte after the injection has number 0. The bytes
    /// of all connections are counted together.
    pub byte: u64,
    /// The number of the flipped bit in the byte: 0 (the least significant) to 7.
    pub bit: u8,
}

impl Corruption {
    /// Flips a bit of one of the next 512 bytes in this direction. The byte and the bit are drawn.
    pub fn new(link: &Link, direction: Direction) -> Self {
        Self {
            target: LinkTarget::of(link),
            direction,
            byte: None,
        }
    }

    /// Flips a drawn bit of the byte with this number. The first byte after the injection has
    /// number 0. The bytes of all connections are counted together.
    #[must_use]
    pub fn at(self, byte: u64) -> Self {
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

    fn apply(&self, plan: &CorruptionPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        if plan.bit > 7 {
            return Err(FaultError::unfit("a bit from 0 to 7", plan.bit.to_string()));
        }
        self.target.put(Condition::Corruption {
            direction: plan.direction,
            left: Some(plan.byte),
            bit: plan.bit,
        })
    }
}
