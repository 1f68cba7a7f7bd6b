//! The oracles that a case has reached.

use crate::event::{Event, EventKind};
use crate::oracle::{OracleId, OracleKind};
use serde::{Deserialize, Serialize};

/// An oracle that a case has reached, with the oracle's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SeenOracle {
    /// The oracle. In JSON the oracle's fields stand next to `held`.
    #[serde(flatten)]
    pub oracle: OracleId,
    /// Whether the oracle held. An [`OracleKind::Always`] must hold at every evaluation, other
    /// kinds at least once.
    pub held: bool,
}

impl SeenOracle {
    /// Combines an oracle with its result.
    #[must_use]
    pub fn new(oracle: OracleId, held: bool) -> Self {
        Self { oracle, held }
    }

    /// Returns the oracles on a timeline, in the order in which they were first reached.
    #[must_use]
    pub fn all_on(timeline: &[Event]) -> Vec<Self> {
        let mut seen: Vec<Self> = Vec::new();
        for event in timeline {
            let EventKind::OracleReached { oracle, holds } = &event.kind else {
                continue;
            };
            match seen.iter_mut().find(|seen| seen.oracle == *oracle) {
                Some(seen) if oracle.kind == OracleKind::Always => seen.held &= holds,
                Some(seen) => seen.held |= holds,
                None => seen.push(Self::new(oracle.clone(), *holds)),
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates an `OracleReached` event for an oracle of this kind.
    fn reached(kind: OracleKind, holds: bool) -> Event {
        let oracle = OracleId::new(kind, "m", "f", "f.rs", 1);
        Event::new(0, "main", EventKind::OracleReached { oracle, holds })
    }

    #[test]
    fn always_holds_at_every_evaluation_others_at_one() {
        for (kind, held) in [
            (OracleKind::Always, false),
            (OracleKind::Sometimes, true),
            (OracleKind::Reachable, true),
        ] {
            let timeline = [reached(kind, true), reached(kind, false)];
            let seen = SeenOracle::all_on(&timeline);
            assert_eq!(seen.len(), 1, "{kind}");
            assert_eq!(seen[0].held, held, "{kind}");
        }
    }
}
