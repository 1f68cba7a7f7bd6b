//! A fault that limits the bandwidth of a link.

use super::LinkTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{Condition, Direction, Link};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The range of the drawn exponent `n`. The bandwidth is 2 to the power of `n` bytes per second: 1
/// KiB to 1 MiB.
const DRAWN: Range<u32> = 10..21;

/// Limits the number of bytes that pass a link per second. The limit holds separately for each
/// direction of each connection.
///
/// The bytes are paced from the first one, in pieces of 10 ms' worth of bytes, at least one byte.
/// Of several limits, the smallest one holds. After the undo, waiting bytes pass at once.
#[derive(Clone, Debug)]
pub struct Bandwidth {
    target: LinkTarget,
    direction: Direction,
    bytes_per_second: Option<u64>,
}

/// The plan of a [`Bandwidth`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BandwidthPlan {
    /// The limited direction.
    pub direction: Direction,
    /// The maximum number of bytes per second, at least 1.
    pub bytes_per_second: u64,
}

impl Bandwidth {
    /// Limits both directions of this link to a drawn bandwidth, 1 KiB to 1 MiB per second. The
    /// drawn number of bytes per second is a power of two.
    pub fn new(link: &Link) -> Self {
        Self {
            target: LinkTarget::of(link),
            direction: Direction::Both,
            bytes_per_second: None,
        }
    }

    /// Limits the bandwidth to `bytes` bytes per second. `bytes` must be at least 1.
    #[must_use]
    pub fn with_bytes_per_second(self, bytes: u64) -> Self {
        Self {
            bytes_per_second: Some(bytes),
            ..self
        }
    }

    /// Limits this direction only.
    #[must_use]
    pub fn towards(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }
}

impl Fault for Bandwidth {
    type Plan = BandwidthPlan;
    const KIND: &'static str = "bandwidth";

    fn describe(plan: &BandwidthPlan, target: &str) -> String {
        let direction = plan.direction.words();
        let rate = plan.bytes_per_second;
        format!("{target} narrowed to {rate} bytes a second {direction}")
    }

    fn target(&self) -> String {
        self.target.name.clone()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<BandwidthPlan, FaultError> {
        let drawn = 1 << rng.random_range(DRAWN);
        match self.bytes_per_second.unwrap_or(drawn) {
            0 => Err(FaultError::unfit(
                "1 byte a second or more, or the fault `Blackhole`",
                "a bandwidth of 0",
            )),
            bytes_per_second => Ok(BandwidthPlan {
                direction: self.direction,
                bytes_per_second,
            }),
        }
    }

    fn apply(&self, plan: &BandwidthPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        self.target.put(Condition::Bandwidth {
            direction: plan.direction,
            bytes_per_second: plan.bytes_per_second,
        })
    }
}
