//! What must hold in the code under test: always, in some case of a sweep, or simply be reached.
//!
//! Each oracle stands in a catalogue that the linker makes, so that one which nothing ever reaches is known, too. A test's process tells on its
//! timeline when an oracle is first reached, and when it first holds.

use crate::test::timeline::Timeline;
use clarity_chaos_record::{OracleId, OracleKind, What};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

/// Asserts that a condition holds whenever it is evaluated: `always!(stored == sent, "what is stored is what was sent")`.
///
/// Where it does not, it panics, and the case fails even if that panic is caught or was declared. A sweep in which no case has reached it fails, too.
///
/// Outside of a chaos test, in the same code run by whomever else, it costs a load of a byte: nothing is evaluated. That includes
/// processes that a test starts.
///
/// ```
/// let (stored, sent) = (1, 1);
/// clarity_chaos::always!(stored == sent, "what is stored is what was sent");
/// ```
#[macro_export]
macro_rules! always {
    ($condition:expr, $message:literal $(,)?) => {{
        $crate::__oracle!(Always, $message);
        if $crate::__private::oracles_are_watched() {
            let holds: bool = $condition;
            ORACLE.observe(holds);
        }
    }};
}

/// States that a condition holds at least once in a sweep: `sometimes!(retries > 0, "a request was retried")`.
///
/// A sweep in which it has held in no case fails: its faults never exercised what they were to exercise. It is evaluated in chaos tests alone, as [`always!`](crate::always) is.
///
/// ```
/// let retries = 0;
/// clarity_chaos::sometimes!(retries > 0, "a request was retried");
/// ```
#[macro_export]
macro_rules! sometimes {
    ($condition:expr, $message:literal $(,)?) => {{
        $crate::__oracle!(Sometimes, $message);
        if $crate::__private::oracles_are_watched() {
            let holds: bool = $condition;
            ORACLE.observe(holds);
        }
    }};
}

/// States that this place is reached at least once in a sweep: `reachable!("the fallback answered")`.
///
/// A sweep in which no case has reached it fails. Outside of chaos tests it does nothing.
///
/// ```
/// clarity_chaos::reachable!("the fallback answered");
/// ```
#[macro_export]
macro_rules! reachable {
    ($message:literal $(,)?) => {{
        $crate::__oracle!(Reachable, $message);
        if $crate::__private::oracles_are_watched() {
            ORACLE.observe(true);
        }
    }};
}

/// Not public API: an oracle of this place, in the catalogue.
#[doc(hidden)]
#[macro_export]
macro_rules! __oracle {
    ($kind:ident, $message:literal) => {
        fn scope() -> &'static str {
            ::core::any::type_name_of_val(&scope)
        }
        static ORACLE: $crate::__private::Oracle = $crate::__private::Oracle::new(
            $crate::OracleKind::$kind,
            $message,
            scope,
            ::core::file!(),
            ::core::line!(),
        );
        $crate::__private::inventory::submit! { $crate::__private::Cataloged(&ORACLE) }
    };
}

/// Not public API: an oracle, as the macros make it.
#[derive(Debug)]
pub struct Oracle {
    kind: OracleKind,
    message: &'static str,
    /// The name of a function that stands where the oracle does.
    scope: fn() -> &'static str,
    file: &'static str,
    line: u32,
    /// What this process has told already.
    told_failing: AtomicBool,
    told_holding: AtomicBool,
}

/// Not public API: a place in the catalogue.
#[derive(Debug)]
pub struct Cataloged(pub &'static Oracle);

inventory::collect!(Cataloged);

/// Whether this process is a test's: all that an oracle asks anywhere else.
static WATCHED: AtomicBool = AtomicBool::new(false);
/// Where they are told.
static TIMELINE: RwLock<Option<Timeline>> = RwLock::new(None);
/// The violations of [`always!`](crate::always), each told in a line.
static VIOLATIONS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Not public API: whether oracles are to be evaluated.
#[inline]
#[must_use]
pub fn oracles_are_watched() -> bool {
    WATCHED.load(Ordering::Relaxed)
}

/// Tells on this timeline from now on what oracles come to, as if none had been reached; or nowhere.
pub(crate) fn watch(timeline: Option<Timeline>) {
    let is_watched = timeline.is_some();
    if is_watched {
        for Cataloged(oracle) in inventory::iter::<Cataloged> {
            oracle.told_failing.store(false, Ordering::Relaxed);
            oracle.told_holding.store(false, Ordering::Relaxed);
        }
    }
    *TIMELINE.write().unwrap_or_else(PoisonError::into_inner) = timeline;
    violated().clear();
    WATCHED.store(is_watched, Ordering::Relaxed);
}

/// The violations of [`always!`](crate::always) so far, whoever caught their panics.
pub(crate) fn violations() -> Vec<String> {
    violated().clone()
}

/// All oracles that are linked into this binary, in order.
pub(crate) fn catalogue() -> Vec<OracleId> {
    let oracles = inventory::iter::<Cataloged>.into_iter();
    let mut oracles: Vec<_> = oracles.map(|Cataloged(oracle)| oracle.id()).collect();
    oracles.sort();
    oracles.dedup();
    oracles
}

impl Oracle {
    /// Not public API: called by the code that the macros generate.
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
            told_failing: AtomicBool::new(false),
            told_holding: AtomicBool::new(false),
        }
    }

    /// Not public API: it was reached, and what it demands is so or not.
    ///
    /// # Panics
    ///
    /// When what had to hold always does not.
    #[track_caller]
    pub fn observe(&self, holds: bool) {
        let told = if holds {
            &self.told_holding
        } else {
            &self.told_failing
        };
        if !told.load(Ordering::Relaxed) && !told.swap(true, Ordering::Relaxed) {
            let timeline = TIMELINE.read().unwrap_or_else(PoisonError::into_inner);
            let timeline = timeline.clone();
            if let Some(timeline) = timeline {
                let oracle = self.id();
                timeline.record(What::OracleReached { oracle, holds });
            }
        }
        if self.kind == OracleKind::Always && !holds {
            violated().push(self.id().to_string());
            panic!("it does not always hold: {}", self.message);
        }
    }

    fn id(&self) -> OracleId {
        let scope = (self.scope)();
        let function = scope.strip_suffix("::scope").unwrap_or(scope);
        OracleId::new(
            self.kind,
            self.message,
            function.replace("::{{closure}}", ""),
            self.file,
            self.line,
        )
    }
}

fn violated() -> std::sync::MutexGuard<'static, Vec<String>> {
    VIOLATIONS.lock().unwrap_or_else(PoisonError::into_inner)
}
