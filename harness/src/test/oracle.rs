//! Records, on the timeline, the oracles that a test reaches. Also collects the violations of
//! oracles.

use crate::registration::oracles::id_of;
use crate::test::timeline::Timeline;
use clarity_chaos_oracles as oracles;
use clarity_chaos_record::EventKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The violations of [`always!`](crate::always) in the current test case, one line each.
static VIOLATIONS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Records the evaluated oracles on a case's timeline. Receives each oracle's first evaluation to
/// true, and its first evaluation to false.
struct CaseSink {
    timeline: Timeline,
}

impl oracles::Sink for CaseSink {
    fn reached(&self, oracle: &'static oracles::Oracle, holds: bool) {
        if let Some(oracle) = id_of(oracle) {
            self.timeline
                .record(EventKind::OracleReached { oracle, holds });
        }
    }

    fn violated(&self, oracle: &'static oracles::Oracle) {
        lock_violations().push(oracle.to_string());
    }
}

/// Evaluates oracles for the case with this timeline. Evaluates no oracles if `timeline` is `None`.
///
/// Forgets the violations of the previous case. If `timeline` is given, all oracles count as not
/// yet reached.
pub(crate) fn send_to(timeline: Option<Timeline>) {
    // Code of the previous case can still run. Its evaluations must not count for the new case, so
    // the oracles are silenced first.
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

fn lock_violations() -> MutexGuard<'static, Vec<String>> {
    VIOLATIONS.lock().unwrap_or_else(PoisonError::into_inner)
}
