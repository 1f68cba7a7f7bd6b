//! A fault that resets new connections to a link.

use super::LinkTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{Condition, Link};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Resets every new connection to a link as soon as the link has accepted it: connecting succeeds,
/// and then reads and writes fail. Connections that are already open stay open.
#[derive(Clone, Debug)]
pub struct ConnectionReset {
    target: LinkTarget,
}

/// The plan of a [`ConnectionReset`] fault. Nothing is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionResetPlan {}

impl ConnectionReset {
    /// Resets new connections to this link.
    pub fn new(link: &Link) -> Self {
        Self {
            target: LinkTarget::of(link),
        }
    }
}

impl Fault for ConnectionReset {
    type Plan = ConnectionResetPlan;
    const KIND: &'static str = "connection_reset";

    fn describe(_plan: &ConnectionResetPlan, target: &str) -> String {
        format!("new connections to {target} reset")
    }

    fn target(&self) -> String {
        self.target.name.clone()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<ConnectionResetPlan, FaultError> {
        Ok(ConnectionResetPlan {})
    }

    fn apply(
        &self,
        _plan: &ConnectionResetPlan,
        _injection: &Injection,
    ) -> Result<Undo, FaultError> {
        self.target.put(Condition::ConnectionReset)
    }
}
