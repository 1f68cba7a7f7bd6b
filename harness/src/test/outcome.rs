//! What a test function may return, and what the harness makes of it.

use std::error::Error;

/// What a chaos test returns: any error fails the test, and is told with all its sources.
pub type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// How the function itself ended, when it returned at all: `Err` carries the error with its sources.
pub type Outcome = std::result::Result<(), String>;

/// Not public API: turns what a test function returns into its [`Outcome`].
#[diagnostic::on_unimplemented(
    message = "a chaos test cannot return `{Self}`",
    label = "expected `()` or a `Result` whose error converts into `Box<dyn Error + Send + Sync>`",
    note = "`clarity_chaos::Result` fits most tests"
)]
pub trait IntoOutcome {
    /// `Err` is the message to fail with.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Ok(())
    }
}

impl<T: IntoOutcome, E: Into<Box<dyn Error + Send + Sync>>> IntoOutcome
    for std::result::Result<T, E>
{
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => value.into_outcome(),
            Err(error) => Err(with_sources(error.into().as_ref())),
        }
    }
}

/// The error and what caused it, outermost first, joined by colons; a source that its error already quotes is not repeated.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let told = source.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        next = source.source();
    }
    text
}

impl Skipped {
    /// Whether this is what the test failed with, however wrapped: its words are in the error's.
    pub(crate) fn is_in(reason: &str, message: &str) -> bool {
        message.contains(&Self(reason.to_owned()).to_string())
    }
}

/// The error of [`Context::skip`](crate::Context::skip): returned from the test, it ends it as skipped.
#[derive(Debug, thiserror::Error)]
#[error("skipped: {0}")]
pub struct Skipped(pub(crate) String);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to load the model")]
    struct Load(#[source] std::io::Error);

    #[test]
    fn an_error_is_told_with_its_sources() {
        let error = Load(std::io::Error::other("disk on fire"));
        let outcome = Err::<(), _>(error).into_outcome();
        assert_eq!(
            outcome,
            Err("failed to load the model: disk on fire".to_owned())
        );
    }

    #[test]
    fn results_nest_and_units_pass() {
        assert_eq!(Ok::<(), String>(()).into_outcome(), Ok(()));
        assert_eq!(
            Ok::<_, String>(Err::<(), _>("inner")).into_outcome(),
            Err("inner".to_owned())
        );
    }
}
