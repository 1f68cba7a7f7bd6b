//! Faults of a [`Link`](crate::test::network::Link).

mod bandwidth;
mod blackhole;
mod connection_cut;
mod connection_hang;
mod connection_refused;
mod connection_reset;
mod corruption;
mod latency;

pub use bandwidth::{Bandwidth, BandwidthPlan};
pub use blackhole::{Blackhole, BlackholePlan};
pub use connection_cut::{ConnectionCut, ConnectionCutPlan};
pub use connection_hang::{ConnectionHang, ConnectionHangPlan};
pub use connection_refused::{ConnectionRefused, ConnectionRefusedPlan};
pub use connection_reset::{ConnectionReset, ConnectionResetPlan};
pub use corruption::{Corruption, CorruptionPlan};
pub use latency::{Latency, LatencyPlan};

use super::{FaultError, Undo, UndoOutcome};
use crate::test::network::{Condition, Link, Proxy};
use std::fmt;
use std::io;
use std::sync::Arc;

/// The link that a fault disturbs, and the link's name in plans.
#[derive(Clone)]
struct LinkTarget {
    name: String,
    proxy: Arc<Proxy>,
}

impl LinkTarget {
    fn of(link: &Link) -> Self {
        Self {
            name: format!("link {}", link.name()),
            proxy: link.proxy(),
        }
    }

    /// Puts the condition on the link until the fault is undone. Undoing does not restore changed
    /// bytes or ended connections.
    fn put(&self, condition: Condition) -> Result<Undo, FaultError> {
        let proxy = Arc::clone(&self.proxy);
        let id = proxy.put(condition).map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => FaultError::Unavailable(error.to_string()),
            _ => error.into(),
        })?;
        Ok(Undo::new(move || {
            proxy.remove(id)?;
            Ok(UndoOutcome::Restored)
        }))
    }
}

impl fmt::Debug for LinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
