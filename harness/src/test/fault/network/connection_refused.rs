//! A fault that refuses new connections to a link.

use super::LinkTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{Condition, Link};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Refuses every new connection to a link, as a machine does on which the server does not run: the
/// link's socket stops to listen, and connecting fails with
/// [`ConnectionRefused`](std::io::ErrorKind::ConnectionRefused). Connections that are already open
/// stay open.
#[derive(Clone, Debug)]
pub struct ConnectionRefused {
    target: LinkTarget,
}

/// The plan of a [`ConnectionRefused`] fault. Nothing is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionRefusedPlan {}

impl ConnectionRefused {
    /// Refuses new connections to this link.
    pub fn new(link: &Link) -> Self {
        Self {
            target: LinkTarget::of(link),
        }
    }
}

impl Fault for ConnectionRefused {
    type Plan = ConnectionRefusedPlan;
    const KIND: &'static str = "refusal";

    fn describe(_plan: &ConnectionRefusedPlan, target: &str) -> String {
        format!("new connections to {target} refused")
    }

    fn target(&self) -> String {
        self.target.name.clone()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<ConnectionRefusedPlan, FaultError> {
        Ok(ConnectionRefusedPlan {})
    }

    fn apply(
        &self,
        _plan: &ConnectionRefusedPlan,
        _injection: &Injection,
    ) -> Result<Undo, FaultError> {
        self.target.put(Condition::ConnectionRefused)
    }
}
