//! Listens to the oracles of a test's process: to its timeline, and for violations.

use crate::oracle_id::{OracleId, OracleKind};
use crate::timeline::{Timeline, What};
use clarity_chaos_oracles as oracles;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The violations of [`always!`](crate::always) in this case, a line each.
static VIOLATIONS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Records on a case's timeline the first evaluation of each oracle with each result.
struct CaseSink {
    timeline: Timeline,
}

impl oracles::Sink for CaseSink {
    fn reached(&self, oracle: &'static oracles::Oracle, holds: bool) {
        if let Some(oracle) = id_of(oracle) {
            self.timeline.record(What::OracleReached { oracle, holds });
        }
    }

    fn violated(&self, oracle: &'static oracles::Oracle) {
        lock_violations().push(oracle.to_string());
    }
}

/// Evaluates oracles for the case with this timeline, or makes them dormant again.
///
/// Forgets the violations of the case before; all oracles count as not yet reached.
pub(crate) fn watch(timeline: Option<Timeline>) {
    // Dormant first: no evaluation of the case before may count for this one.
    oracles::silence();
    lock_violations().clear();
    if let Some(timeline) = timeline {
        oracles::listen(Arc::new(CaseSink { timeline }));
    }
}

/// The violations of [`always!`](crate::always) so far, including those whose panics were caught.
pub(crate) fn violations() -> Vec<String> {
    lock_violations().clone()
}

/// All oracles that are linked into this binary, in order.
pub(crate) fn catalogue() -> Vec<OracleId> {
    let mut oracles: Vec<_> = oracles::catalogue().filter_map(id_of).collect();
    oracles.sort();
    oracles.dedup();
    oracles
}

/// The oracle as data. None for a kind of a later release, which this harness cannot judge.
fn id_of(oracle: &oracles::Oracle) -> Option<OracleId> {
    let kind = match oracle.kind() {
        oracles::OracleKind::Always => OracleKind::Always,
        oracles::OracleKind::Sometimes => OracleKind::Sometimes,
        oracles::OracleKind::Reachable => OracleKind::Reachable,
        _ => return None,
    };
    Some(OracleId {
        kind,
        message: oracle.message().to_owned(),
        function: oracle.function(),
        file: oracle.file().to_owned(),
        line: oracle.line(),
    })
}

fn lock_violations() -> MutexGuard<'static, Vec<String>> {
    VIOLATIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_has_every_kind_as_data() {
        let _in_catalogue = || {
            crate::always!(true, "of the kind always");
            crate::sometimes!(true, "of the kind sometimes");
            crate::reachable!("of the kind reachable");
        };
        let catalogue = catalogue();
        for (kind, message) in [
            (OracleKind::Always, "of the kind always"),
            (OracleKind::Sometimes, "of the kind sometimes"),
            (OracleKind::Reachable, "of the kind reachable"),
        ] {
            let id = catalogue.iter().find(|id| id.message == message).unwrap();
            assert_eq!((id.kind, id.file.as_str()), (kind, file!()));
            let function = "clarity_chaos::oracle::tests::catalogue_has_every_kind_as_data";
            assert_eq!(id.function, function);
            let mut oracles = oracles::catalogue();
            let oracle = oracles.find(|oracle| oracle.message() == message).unwrap();
            assert_eq!(
                (id.line, id.to_string()),
                (oracle.line(), oracle.to_string())
            );
        }
        assert!(catalogue.is_sorted());
    }
}
