//! A fault that makes new connections to a link hang.

use super::LinkTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{Condition, Link};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Lets no new connection to a link begin, as a server does whose backlog is full. The kernel does
/// not answer the first packet of a connection, so connecting hangs until its timeout. Connections
/// that are already open stay open.
///
/// After the undo, waiting connections succeed when the kernel repeats their first packet: usually
/// about 1, 3 or 7 s after they began.
///
/// The fault needs Linux. Elsewhere, the injection returns an error, and a test that returns this
/// error is skipped.
#[derive(Clone, Debug)]
pub struct ConnectionHang {
    target: LinkTarget,
}

/// The plan of a [`ConnectionHang`] fault. Nothing is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionHangPlan {}

impl ConnectionHang {
    /// Makes new connections to this link hang.
    pub fn new(link: &Link) -> Self {
        Self {
            target: LinkTarget::of(link),
        }
    }
}

impl Fault for ConnectionHang {
    type Plan = ConnectionHangPlan;
    const KIND: &'static str = "connection_hang";

    fn describe(_plan: &ConnectionHangPlan, target: &str) -> String {
        format!("new connections to {target} hang")
    }

    fn target(&self) -> String {
        self.target.name.clone()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<ConnectionHangPlan, FaultError> {
        Ok(ConnectionHangPlan {})
    }

    fn apply(
        &self,
        _plan: &ConnectionHangPlan,
        _injection: &Injection,
    ) -> Result<Undo, FaultError> {
        self.target.put(Condition::ConnectionHang)
    }
}
