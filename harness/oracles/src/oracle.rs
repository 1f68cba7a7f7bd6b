//! An oracle, and the catalogue of all oracles in the binary.

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
    /// Writes the macro's name, such as `always!`.
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
/// Only [`always!`](crate::always), [`sometimes!`](crate::sometimes) and
/// [`reachable!`](crate::reachable) create an oracle.
#[derive(Debug)]
pub struct Oracle {
    kind: OracleKind,
    message: &'static str,
    /// A function that returns its own path. The macro declares the function next to the oracle.
    scope: fn() -> &'static str,
    file: &'static str,
    line: u32,
    /// Whether an evaluation with the result `true` was reported to the sink.
    reported_true: AtomicBool,
    /// Whether an evaluation with the result `false` was reported to the sink.
    reported_false: AtomicBool,
}

inventory::collect!(&'static Oracle);

/// Lists all oracles that are linked into this binary, in no particular order.
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
    /// Not public API: the generated code of the macros calls this function.
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

    /// Returns the property that the oracle states.
    #[must_use]
    pub fn kind(&self) -> OracleKind {
        self.kind
    }

    /// Returns the message in the macro call.
    #[must_use]
    pub fn message(&self) -> &'static str {
        self.message
    }

    /// Returns the path of the function that contains the oracle, with the crate's name:
    /// `shop::cart::add`. Closures and `async` blocks are left out of the path.
    #[must_use]
    pub fn function(&self) -> String {
        let scope = (self.scope)();
        let function = scope.strip_suffix("::scope").unwrap_or(scope);
        function.replace("::{{closure}}", "")
    }

    /// Returns the path of the source file, as it was passed to the compiler.
    #[must_use]
    pub fn file(&self) -> &'static str {
        self.file
    }

    /// Returns the line of the macro call, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Whether this is the first evaluation with the result `holds` since the last
    /// [`reset`](Self::reset).
    pub(crate) fn is_first(&self, holds: bool) -> bool {
        let reported = if holds {
            &self.reported_true
        } else {
            &self.reported_false
        };
        // The atomic load avoids the swap in repeated evaluations: a swap writes to a cache line
        // that all threads share.
        !reported.load(Ordering::Relaxed) && !reported.swap(true, Ordering::Relaxed)
    }

    /// Resets both results: the next evaluation with either result counts as the first again.
    pub(crate) fn reset(&self) {
        self.reported_true.store(false, Ordering::Relaxed);
        self.reported_false.store(false, Ordering::Relaxed);
    }
}

impl fmt::Display for Oracle {
    /// Writes the kind, the message and the place:
    /// `always! "the stored value is the sent one" (src/store.rs:12)`.
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
