//! A fault that separates programs that talk through links.

use super::LinkTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo, UndoOutcome};
use crate::test::network::{AnyLink, Condition, Direction};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Separates programs that talk through several links, in one or both directions: one fault for all
/// links between two groups of programs.
///
/// On a [`UdpLink`](crate::test::network::UdpLink), all datagrams are lost. On a TCP
/// [`Link`](crate::test::network::Link), the bytes are held, and arrive after the undo; but TCP's
/// own acknowledgements are not held, and connecting to the link succeeds. Add a
/// [`ConnectionHang`](crate::test::fault::ConnectionHang) if connecting must hang, too.
///
/// A partition of one way gives each link the direction that leads this way:
///
/// ```no_run
/// # use clarity_chaos::fault::Partition;
/// # use clarity_chaos::network::{Direction, Link};
/// # use clarity_chaos::{Context, Result};
/// # fn example(cx: Context, a_asks_b: &Link, b_asks_a: &Link) -> Result {
/// // No byte of A reaches B. The bytes of B still reach A.
/// let partition = Partition::new(a_asks_b, Direction::ToServer);
/// let partition = cx.inject(partition.and(b_asks_a, Direction::ToClient))?;
/// # partition.undo();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Partition {
    links: Vec<(LinkTarget, Direction)>,
}

/// The plan of a [`Partition`] fault. Nothing is drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PartitionPlan {
    /// The interrupted direction of each link, in the order of the target's links.
    pub directions: Vec<Direction>,
}

impl Partition {
    /// Interrupts this direction of a link.
    pub fn new(link: &impl AnyLink, direction: Direction) -> Self {
        Self {
            links: vec![(LinkTarget::of(link), direction)],
        }
    }

    /// Also interrupts this direction of another link.
    #[must_use]
    pub fn and(mut self, link: &impl AnyLink, direction: Direction) -> Self {
        self.links.push((LinkTarget::of(link), direction));
        self
    }
}

impl Fault for Partition {
    type Plan = PartitionPlan;
    const KIND: &'static str = "partition";

    fn describe(plan: &PartitionPlan, target: &str) -> String {
        let directions: Vec<&str> = plan.directions.iter().map(|each| each.words()).collect();
        format!("partition of {target}: {}", directions.join(", "))
    }

    fn target(&self) -> String {
        let names: Vec<&str> = self
            .links
            .iter()
            .map(|(link, _)| link.name.as_str())
            .collect();
        names.join(", ")
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<PartitionPlan, FaultError> {
        Ok(PartitionPlan {
            directions: self.links.iter().map(|(_, direction)| *direction).collect(),
        })
    }

    fn apply(&self, plan: &PartitionPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        if plan.directions.len() != self.links.len() {
            let found = plan.directions.len().to_string();
            return Err(FaultError::unfit("a direction for each link", found));
        }
        let mut put = Vec::new();
        for ((link, _), direction) in self.links.iter().zip(&plan.directions) {
            let condition = Condition::Blackhole {
                direction: *direction,
            };
            match link.link.put(condition) {
                Ok(id) => put.push((link.link.clone(), id)),
                Err(error) => {
                    // A part of a partition would be another fault.
                    for (link, id) in put {
                        link.remove(id)?;
                    }
                    return Err(error.into());
                }
            }
        }
        Ok(Undo::new(move || {
            for (link, id) in put {
                link.remove(id)?;
            }
            Ok(UndoOutcome::Restored)
        }))
    }
}
