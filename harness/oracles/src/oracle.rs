//! An oracle, and the catalogue of all oracles in the binary.

use crate::sink;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// The property that an oracle states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OracleKind {
    /// The condition holds at every evaluation, and is evaluated at least once: [`always!`].
    ///
    /// [`always!`]: crate::always
    Always,
    /// The condition holds at least once: [`sometimes!`](crate::sometimes).
    Sometimes,
    /// The line runs at least once: [`reachable!`](crate::reachable).
    Reachable,
}

impl fmt::Display for OracleKind {
    /// The name of the macro: `always!`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always!",
            Self::Sometimes => "sometimes!",
            Self::Reachable => "reachable!",
        })
    }
}

/// An oracle: its kind, its message, and its place in the source.
///
/// Made by [`always!`](crate::always), [`sometimes!`](crate::sometimes) and
/// [`reachable!`](crate::reachable) alone.
#[derive(Debug)]
pub struct Oracle {
    kind: OracleKind,
    message: &'static str,
    /// Gives the path of a function that the macro declared next to the oracle.
    scope: fn() -> &'static str,
    file: &'static str,
    line: u32,
    /// Whether the sink has got a true evaluation.
    reported_true: AtomicBool,
    /// Whether the sink has got a false evaluation.
    reported_false: AtomicBool,
}

inventory::collect!(&'static Oracle);

/// All oracles that are linked into this binary, in no particular order.
///
/// ```
/// use clarity_chaos_oracles::{catalogue, reachable};
///
/// fn fall_back() {
///     reachable!("the fallback answers");
/// }
///
/// let oracle = catalogue().find(|oracle| oracle.message() == "the fallback answers");
/// assert!(oracle.unwrap().function().ends_with("fall_back"));
/// # let _ = fall_back;
/// ```
pub fn catalogue() -> impl Iterator<Item = &'static Oracle> {
    inventory::iter::<&'static Oracle>.into_iter().copied()
}

impl Oracle {
    /// Not public API: called by the code that the macros generate.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(
        kind: OracleKind,
        message: &'static str,
        scope: fn() -> &'static str,
        file: &'static str,
        line: u32,
    ) -> Self {
        Self {
            kind,
            message,
            scope,
            file,
            line,
            reported_true: AtomicBool::new(false),
            reported_false: AtomicBool::new(false),
        }
    }

    /// The property that it states.
    #[must_use]
    pub fn kind(&self) -> OracleKind {
        self.kind
    }

    /// The message, as it stands in the macro.
    #[must_use]
    pub fn message(&self) -> &'static str {
        self.message
    }

    /// The path of the function around it, with the crate's name: `shop::cart::add`. Closures and
    /// `async` blocks are left out of the path.
    #[must_use]
    pub fn function(&self) -> String {
        let scope = (self.scope)();
        let function = scope.strip_suffix("::scope").unwrap_or(scope);
        function.replace("::{{closure}}", "")
    }

    /// The source file, as the compiler got its path.
    #[must_use]
    pub fn file(&self) -> &'static str {
        self.file
    }

    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

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
        let reported = if holds {
            &self.reported_true
        } else {
            &self.reported_false
        };
        // The load keeps repeated evaluations from sharing a written cache line.
        let is_first = !reported.load(Ordering::Relaxed) && !reported.swap(true, Ordering::Relaxed);
        if is_first && let Some(sink) = sink::current() {
            sink.reached(self, holds);
        }
        if self.kind == OracleKind::Always && !holds {
            if let Some(sink) = sink::current() {
                sink.violated(self);
            }
            panic!("it does not always hold: {}", self.message);
        }
    }

    /// Lets the next evaluation with either result be reported again.
    pub(crate) fn reset(&self) {
        self.reported_true.store(false, Ordering::Relaxed);
        self.reported_false.store(false, Ordering::Relaxed);
    }
}

impl fmt::Display for Oracle {
    /// `always! "the stored value is the sent one" (src/store.rs:12)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            message,
            file,
            line,
            ..
        } = self;
        write!(f, "{kind} \"{message}\" ({file}:{line})")
    }
}
