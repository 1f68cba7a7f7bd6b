//! A fault that reorders datagrams on a link.

use super::LinkTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{Chance, Condition, Direction, UdpLink};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The range of the drawn chance, in percent.
const DRAWN: RangeInclusive<u8> = 1..=30;

/// The range of the drawn number of datagrams that overtake one.
const OVERTAKING: RangeInclusive<u8> = 1..=3;

/// Delivers datagrams on a link after datagrams that were sent later, as networks with several
/// paths do. A datagram that is not overtaken within 1 s is then delivered. After the undo, waiting
/// datagrams are delivered at once.
#[derive(Clone, Debug)]
pub struct PacketReordering {
    target: LinkTarget,
    direction: Direction,
    percent: Option<u8>,
    by: Option<u8>,
}

/// The plan of a [`PacketReordering`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PacketReorderingPlan {
    /// The direction of the affected datagrams.
    pub direction: Direction,
    /// The chance of each datagram to be overtaken, in percent.
    pub percent: u8,
    /// The number of later datagrams that overtake an affected one, at least 1.
    pub by: u8,
    /// The seed from which the affected datagrams are drawn.
    pub seed: u64,
}

impl PacketReordering {
    /// Delays datagrams in both directions of this link with a drawn chance, 1 to 30 percent.
    pub fn new(link: &UdpLink) -> Self {
        Self {
            target: LinkTarget::of(link),
            direction: Direction::Both,
            percent: None,
            by: None,
        }
    }

    /// Delays each datagram with this chance, 1 to 100 percent.
    #[must_use]
    pub fn with_percent(self, percent: u8) -> Self {
        Self {
            percent: Some(percent),
            ..self
        }
    }

    /// Lets exactly this number of later datagrams overtake an affected one, at least 1. The drawn
    /// number is 1 to 3.
    #[must_use]
    pub fn by(self, datagrams: u8) -> Self {
        Self {
            by: Some(datagrams),
            ..self
        }
    }

    /// Delays datagrams in this direction only.
    #[must_use]
    pub fn towards(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }
}

impl Fault for PacketReordering {
    type Plan = PacketReorderingPlan;
    const KIND: &'static str = "packet_reordering";

    fn describe(plan: &PacketReorderingPlan, target: &str) -> String {
        let direction = plan.direction.words();
        format!(
            "{} % of the datagrams on {target} overtaken {direction}",
            plan.percent
        )
    }

    fn target(&self) -> String {
        self.target.name.clone()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<PacketReorderingPlan, FaultError> {
        let drawn = rng.random_range(DRAWN);
        let by = self.by.unwrap_or(rng.random_range(OVERTAKING));
        if by == 0 {
            return Err(FaultError::unfit("1 datagram or more", "0"));
        }
        Ok(PacketReorderingPlan {
            direction: self.direction,
            percent: super::percent(self.percent.unwrap_or(drawn))?,
            by,
            seed: rng.random(),
        })
    }

    fn apply(
        &self,
        plan: &PacketReorderingPlan,
        _injection: &Injection,
    ) -> Result<Undo, FaultError> {
        let chance = Chance::new(plan.direction, plan.percent, plan.seed);
        self.target.put(Condition::PacketReordering {
            chance,
            by: plan.by,
        })
    }
}
