//! A link on which nothing arrives.

use super::Target;
use crate::test::fault::{Fault, FaultError, Undo};
use crate::test::network::{Condition, Direction, Link};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Lets nothing pass a link: a black hole, or a partition. Connections stay open, and what is sent arrives when the fault is undone.
#[derive(Clone, Debug)]
pub struct Stall {
    target: Target,
    direction: Direction,
}

/// What is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StallPlan {
    /// Which way.
    pub direction: Direction,
}

impl Stall {
    /// Holds up what goes this way.
    pub fn of(link: &Link, direction: Direction) -> Self {
        Self {
            target: Target::of(link),
            direction,
        }
    }
}

impl Fault for Stall {
    type Plan = StallPlan;
    const KIND: &'static str = "stall";

    fn describe(plan: &StallPlan, target: &str) -> String {
        format!("{target} stalled {}", plan.direction.words())
    }

    fn target(&self) -> String {
        self.target.name.clone()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<StallPlan, FaultError> {
        Ok(StallPlan {
            direction: self.direction,
        })
    }

    fn apply(&self, plan: &StallPlan, _scratch: &Path) -> Result<Undo, FaultError> {
        Ok(self.target.put(Condition::Stall {
            direction: plan.direction,
        }))
    }
}
