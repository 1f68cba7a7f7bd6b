//! A fault that duplicates datagrams on a link.

use super::LinkTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{Chance, Condition, Direction, UdpLink};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The range of the drawn chance, in percent.
const DRAWN: RangeInclusive<u8> = 1..=30;

/// Delivers datagrams on a link twice, as networks with redundant paths do.
#[derive(Clone, Debug)]
pub struct PacketDuplication {
    target: LinkTarget,
    direction: Direction,
    percent: Option<u8>,
}

/// The plan of a [`PacketDuplication`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PacketDuplicationPlan {
    /// The direction of the affected datagrams.
    pub direction: Direction,
    /// The chance of each datagram to be duplicated, in percent.
    pub percent: u8,
    /// The seed from which the affected datagrams are drawn.
    pub seed: u64,
}

impl PacketDuplication {
    /// Duplicates datagrams in both directions of this link with a drawn chance, 1 to 30 percent.
    pub fn new(link: &UdpLink) -> Self {
        Self {
            target: LinkTarget::of(link),
            direction: Direction::Both,
            percent: None,
        }
    }

    /// Duplicates each datagram with this chance, 1 to 100 percent.
    #[must_use]
    pub fn with_percent(self, percent: u8) -> Self {
        Self {
            percent: Some(percent),
            ..self
        }
    }

    /// Duplicates datagrams in this direction only.
    #[must_use]
    pub fn towards(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }
}

impl Fault for PacketDuplication {
    type Plan = PacketDuplicationPlan;
    const KIND: &'static str = "packet_duplication";

    fn describe(plan: &PacketDuplicationPlan, target: &str) -> String {
        let direction = plan.direction.words();
        format!(
            "{} % of the datagrams on {target} duplicated {direction}",
            plan.percent
        )
    }

    fn target(&self) -> String {
        self.target.name.clone()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<PacketDuplicationPlan, FaultError> {
        let drawn = rng.random_range(DRAWN);
        Ok(PacketDuplicationPlan {
            direction: self.direction,
            percent: super::percent(self.percent.unwrap_or(drawn))?,
            seed: rng.random(),
        })
    }

    fn apply(
        &self,
        plan: &PacketDuplicationPlan,
        _injection: &Injection,
    ) -> Result<Undo, FaultError> {
        let chance = Chance::new(plan.direction, plan.percent, plan.seed);
        self.target.put(Condition::PacketDuplication(chance))
    }
}
