//! Faults of a [`Link`](crate::test::network::Link).

mod bandwidth;
mod corruption;
mod latency;
mod refusal;
mod severance;
mod stall;

pub use bandwidth::{Bandwidth, BandwidthPlan};
pub use corruption::{Corruption, CorruptionPlan};
pub use latency::{Latency, LatencyPlan};
pub use refusal::{Refusal, RefusalPlan};
pub use severance::{Severance, SeverancePlan};
pub use stall::{Stall, StallPlan};

use super::{Undo, UndoOutcome};
use crate::test::network::{Condition, Link, Shared};
use std::fmt;
use std::sync::Arc;

/// The link that a fault is to disturb, and what plans call it.
#[derive(Clone)]
struct Target {
    name: String,
    link: Arc<Shared>,
}

impl Target {
    fn of(link: &Link) -> Self {
        Self {
            name: format!("link {}", link.name()),
            link: link.shared(),
        }
    }

    /// Puts the condition on the link until it is undone. What has passed by then is not taken back, nor are connections that have ended.
    fn put(&self, condition: Condition) -> Undo {
        let link = Arc::clone(&self.link);
        let id = link.conditions.add(condition);
        Undo::new(move || {
            link.conditions.remove(id);
            Ok(UndoOutcome::Restored)
        })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
