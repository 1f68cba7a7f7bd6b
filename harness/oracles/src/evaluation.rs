//! The evaluation of an oracle, reported to the sink.

use crate::oracle::{Oracle, OracleKind};
use crate::sink;

impl Oracle {
    /// Not public API: reports one evaluation, called by the code that the macros generate.
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
            && let Some(sink) = sink::current()
        {
            sink.reached(self, holds);
        }
        if self.kind() == OracleKind::Always && !holds {
            if let Some(sink) = sink::current() {
                sink.violated(self);
            }
            panic!("it does not always hold: {}", self.message());
        }
    }
}
