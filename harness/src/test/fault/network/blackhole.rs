//! A fault that holds back all bytes in one or both directions of a link.

use super::LinkTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{AnyLink, Condition, Direction};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Holds back all bytes in one or both directions of a link, as a network partition does.
/// Connections stay open, and the held bytes arrive when the fault is undone.
///
/// On a [`UdpLink`](crate::test::network::UdpLink), the datagrams are lost instead.
#[derive(Clone, Debug)]
pub struct Blackhole {
    target: LinkTarget,
    direction: Direction,
}

/// The plan of a [`Blackhole`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BlackholePlan {
    /// The direction of the held bytes.
    pub direction: Direction,
}

impl Blackhole {
    /// Holds back the bytes in this direction of the link.
    pub fn new(link: &impl AnyLink, direction: Direction) -> Self {
        Self {
            target: LinkTarget::of(link),
            direction,
        }
    }
}

impl Fault for Blackhole {
    type Plan = BlackholePlan;
    const KIND: &'static str = "stall";

    fn describe(plan: &BlackholePlan, target: &str) -> String {
        format!("{target} stalled {}", plan.direction.words())
    }

    fn target(&self) -> String {
        self.target.name.clone()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<BlackholePlan, FaultError> {
        Ok(BlackholePlan {
            direction: self.direction,
        })
    }

    fn apply(&self, plan: &BlackholePlan, _injection: &Injection) -> Result<Undo, FaultError> {
        self.target.put(Condition::Blackhole {
            direction: plan.direction,
        })
    }
}
