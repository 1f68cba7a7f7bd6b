//! The sink of this process, and the flag that keeps oracles dormant without a sink.

use crate::oracle::{Oracle, OracleKind, catalogue};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Receives the evaluations of oracles. A test harness implements this trait.
///
/// An oracle calls the sink on the thread that reached the oracle. The sink's own code is allowed
/// to reach oracles.
pub trait Sink: Send + Sync {
    /// Receives the first evaluation of `oracle` with the result `holds` since the call of
    /// [`listen`].
    ///
    /// This method is called at most twice for each oracle: once with true, once with false.
    fn reached(&self, oracle: &'static Oracle, holds: bool);

    /// Receives every violation of an [`always!`](crate::always), before the macro panics.
    ///
    /// The default implementation does nothing.
    fn violated(&self, oracle: &'static Oracle) {
        let _ = oracle;
    }
}

/// Whether oracles evaluate their conditions.
// The flag guards no other data, so `Relaxed` is enough.
static LISTENING: AtomicBool = AtomicBool::new(false);

static SINK: RwLock<Option<Arc<dyn Sink>>> = RwLock::new(None);

/// Makes `sink` listen to all oracles of this process. `sink` replaces an earlier sink.
///
/// Resets all oracles: each oracle counts as not yet reached.
///
/// A thread that evaluates an oracle during this call can report the evaluation to the earlier or
/// to the new sink.
pub fn listen(sink: Arc<dyn Sink>) {
    catalogue().for_each(Oracle::reset);
    replace(Some(sink));
    LISTENING.store(true, Ordering::Relaxed);
}

/// Makes all oracles of this process dormant again, and drops the process's reference to the sink.
pub fn silence() {
    LISTENING.store(false, Ordering::Relaxed);
    replace(None);
}

impl Oracle {
    /// Not public API: the generated code of the macros calls this function for each evaluation.
    ///
    /// # Panics
    ///
    /// When an [`always!`](crate::always) does not hold.
    #[doc(hidden)]
    // `cold` marks calls of this function as unlikely: without a sink, no oracle calls the
    // function.
    #[cold]
    #[track_caller]
    pub fn observe(&'static self, holds: bool) {
        if self.is_first(holds)
            && let Some(sink) = current()
        {
            sink.reached(self, holds);
        }
        if self.kind() == OracleKind::Always && !holds {
            if let Some(sink) = current() {
                sink.violated(self);
            }
            panic!("it does not always hold: {}", self.message());
        }
    }
}

fn replace(sink: Option<Arc<dyn Sink>>) {
    let previous = mem::replace(
        &mut *SINK.write().unwrap_or_else(PoisonError::into_inner),
        sink,
    );
    // The lock is released before the drop: the destructor of a sink can reach an oracle, which
    // takes the lock.
    drop(previous);
}

/// Not public API: whether oracles evaluate their conditions.
#[doc(hidden)]
#[inline]
#[must_use]
pub fn is_listening() -> bool {
    LISTENING.load(Ordering::Relaxed)
}

/// Returns the current sink, and releases the lock. A method of the sink can therefore reach an
/// oracle, or call [`listen`].
fn current() -> Option<Arc<dyn Sink>> {
    SINK.read().unwrap_or_else(PoisonError::into_inner).clone()
}
