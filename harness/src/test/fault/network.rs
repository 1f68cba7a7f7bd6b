//! Faults of links and of a test's resolver.

mod bandwidth;
mod blackhole;
mod connection_cut;
mod connection_hang;
mod connection_refused;
mod connection_reset;
mod corruption;
mod dns_failure;
mod dns_latency;
mod dns_spoof;
mod http_selection;
mod http_slow_head;
mod http_status;
mod http_truncated_body;
mod latency;
mod name_target;
mod packet_duplication;
mod packet_loss;
mod packet_reordering;
mod partition;

pub use bandwidth::{Bandwidth, BandwidthPlan};
pub use blackhole::{Blackhole, BlackholePlan};
pub use connection_cut::{ConnectionCut, ConnectionCutPlan};
pub use connection_hang::{ConnectionHang, ConnectionHangPlan};
pub use connection_refused::{ConnectionRefused, ConnectionRefusedPlan};
pub use connection_reset::{ConnectionReset, ConnectionResetPlan};
pub use corruption::{Corruption, CorruptionPlan};
pub use dns_failure::{DnsFailure, DnsFailurePlan};
pub use dns_latency::{DnsLatency, DnsLatencyPlan};
pub use dns_spoof::{DnsSpoof, DnsSpoofPlan};
pub use http_selection::HttpSelection;
pub use http_slow_head::{HttpSlowHead, HttpSlowHeadPlan};
pub use http_status::{HttpStatus, HttpStatusPlan};
pub use http_truncated_body::{HttpTruncatedBody, HttpTruncatedBodyPlan};
pub use latency::{Latency, LatencyPlan};
pub use packet_duplication::{PacketDuplication, PacketDuplicationPlan};
pub use packet_loss::{PacketLoss, PacketLossPlan};
pub use packet_reordering::{PacketReordering, PacketReorderingPlan};
pub use partition::{Partition, PartitionPlan};

use name_target::NameTarget;

use super::{FaultError, Undo, UndoOutcome};
use crate::test::network::{AnyLink, Condition, Disturbed};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The link that a fault disturbs, and the link's name in plans.
#[derive(Clone)]
struct LinkTarget {
    name: String,
    link: Arc<dyn Disturbed>,
}

impl LinkTarget {
    fn of(link: &impl AnyLink) -> Self {
        Self {
            name: format!("link {}", link.link_name()),
            link: link.disturbed(),
        }
    }

    /// Puts the condition on the link until the fault is undone. Undoing does not restore changed
    /// bytes, ended connections or lost datagrams.
    fn put(&self, condition: Condition) -> Result<Undo, FaultError> {
        let link = Arc::clone(&self.link);
        let id = link.put(condition).map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => FaultError::Unavailable(error.to_string()),
            _ => error.into(),
        })?;
        Ok(Undo::new(move || {
            link.remove(id)?;
            Ok(UndoOutcome::Restored)
        }))
    }
}

impl fmt::Debug for LinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Returns the whole milliseconds of a delay.
fn milliseconds(delay: Duration) -> Result<u64, FaultError> {
    u64::try_from(delay.as_millis())
        .map_err(|_| FaultError::unfit("a delay that ends", format!("{delay:?}")))
}

/// Returns the chance, if it is 1 to 100 percent.
fn percent(percent: u8) -> Result<u8, FaultError> {
    match percent {
        1..=100 => Ok(percent),
        _ => Err(FaultError::unfit(
            "a chance of 1 to 100 percent",
            percent.to_string(),
        )),
    }
}
