//! The macros that place an oracle.

/// Asserts that a condition holds at every evaluation.
///
/// If the condition is false while a sink [listens](crate::listen), the macro calls
/// [`Sink::violated`] and panics. An `always!` that is never evaluated counts as unmet, too.
///
/// While no sink listens, the condition is not evaluated. The cost is then one relaxed atomic load
/// and one branch.
///
/// ```
/// use clarity_chaos_oracles::always;
///
/// let (stored, sent) = (1, 1);
/// always!(stored == sent, "the stored value is the sent one");
/// ```
///
/// # Panics
///
/// When a sink listens and the condition is false.
///
/// [`Sink::violated`]: crate::Sink::violated
#[macro_export]
macro_rules! always {
    ($condition:expr, $message:literal $(,)?) => {
        $crate::__oracle!(Always, $condition, $message)
    };
}

/// States that a condition holds at least once in a run of many tests.
///
/// If the condition never holds in a run, a harness reports a failure: the tests did not exercise
/// the code as intended. The condition is evaluated only while a sink [listens](crate::listen).
///
/// ```
/// use clarity_chaos_oracles::sometimes;
///
/// let retries = 0;
/// sometimes!(retries > 0, "a request is retried");
/// ```
#[macro_export]
macro_rules! sometimes {
    ($condition:expr, $message:literal $(,)?) => {
        $crate::__oracle!(Sometimes, $condition, $message)
    };
}

/// States that this line runs at least once in a run of many tests.
///
/// If no test of a run reaches the line, a harness reports a failure. The macro does nothing unless
/// a sink [listens](crate::listen).
///
/// ```
/// use clarity_chaos_oracles::reachable;
///
/// reachable!("the fallback answers");
/// ```
#[macro_export]
macro_rules! reachable {
    ($message:literal $(,)?) => {
        $crate::__oracle!(Reachable, true, $message)
    };
}

/// Not public API: places an oracle at the line of the call, and adds the oracle to the catalogue.
#[doc(hidden)]
#[macro_export]
macro_rules! __oracle {
    ($kind:ident, $condition:expr, $message:literal) => {
        if $crate::__private::is_listening() {
            let holds: bool = $condition;
            // The condition cannot see the items in this inner block. Macro hygiene does not apply
            // to items: outside the block, they would hide a caller's `scope` or `ORACLE`.
            {
                fn scope() -> &'static str {
                    ::core::any::type_name_of_val(&scope)
                }
                static ORACLE: $crate::Oracle = $crate::Oracle::new(
                    $crate::OracleKind::$kind,
                    $message,
                    scope,
                    ::core::file!(),
                    ::core::line!(),
                );
                $crate::__private::inventory::submit! { &ORACLE }
                ORACLE.observe(holds);
            }
        }
    };
}
