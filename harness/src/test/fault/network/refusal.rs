//! A server that nobody reaches.

use super::Target;
use crate::test::fault::{Fault, FaultError, Undo};
use crate::test::network::{Condition, Link};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Resets every new connection to a link as soon as it is made; those that are open stay.
#[derive(Clone, Debug)]
pub struct Refusal {
    target: Target,
}

/// Nothing is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalPlan {}

impl Refusal {
    /// Refuses connections to this link.
    pub fn of(link: &Link) -> Self {
        Self {
            target: Target::of(link),
        }
    }
}

impl Fault for Refusal {
    type Plan = RefusalPlan;
    const KIND: &'static str = "refusal";

    fn describe(_plan: &RefusalPlan, target: &str) -> String {
        format!("new connections to {target} refused")
    }

    fn target(&self) -> String {
        self.target.name.clone()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<RefusalPlan, FaultError> {
        Ok(RefusalPlan {})
    }

    fn apply(&self, _plan: &RefusalPlan, _scratch: &Path) -> Result<Undo, FaultError> {
        Ok(self.target.put(Condition::Refusal))
    }
}
