//! The listener of this process, and the flag that keeps oracles dormant without one.

use crate::oracle::{Oracle, OracleKind, catalogue};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Receives the evaluations of oracles: a test harness implements it.
///
/// Oracles call it on the thread that reached them. A sink may reach oracles itself.
pub trait Sink: Send + Sync {
    /// Takes the first evaluation of `oracle` with this result since [`listen`].
    ///
    /// It is called at most twice for each oracle: once with `holds`, once without.
    fn reached(&self, oracle: &'static Oracle, holds: bool);

    /// Takes every violation of an [`always!`](crate::always), before the macro panics.
    ///
    /// It does nothing unless implemented.
    fn violated(&self, oracle: &'static Oracle) {
        let _ = oracle;
    }
}

/// Whether oracles are evaluated. It guards no other data, so that `Relaxed` is enough.
static LISTENING: AtomicBool = AtomicBool::new(false);

static SINK: RwLock<Option<Arc<dyn Sink>>> = RwLock::new(None);

/// Lets `sink` listen to all oracles of this process, in place of an earlier one.
///
/// All oracles count as not yet reached.
///
/// A thread that is evaluating an oracle at the same moment may report it to either sink.
pub fn listen(sink: Arc<dyn Sink>) {
    catalogue().for_each(Oracle::reset);
    replace(Some(sink));
    LISTENING.store(true, Ordering::Relaxed);
}

/// Makes all oracles of this process dormant again, and drops its reference to the sink.
pub fn silence() {
    LISTENING.store(false, Ordering::Relaxed);
    replace(None);
}

impl Oracle {
    /// Not public API: takes one evaluation, called by the code that the macros generate.
    ///
    /// # Panics
    ///
    /// When an [`always!`](crate::always) does not hold.
    #[doc(hidden)]
    // Keeps the call out of the way of production code, which never makes it.
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
    // Outside of the lock: dropping a sink may reach an oracle.
    drop(previous);
}

/// Not public API: whether an oracle evaluates its condition.
#[doc(hidden)]
#[inline]
#[must_use]
pub fn is_listening() -> bool {
    LISTENING.load(Ordering::Relaxed)
}

/// The sink, outside of the lock: a sink may reach an oracle, or call [`listen`].
fn current() -> Option<Arc<dyn Sink>> {
    SINK.read().unwrap_or_else(PoisonError::into_inner).clone()
}
