//! The return types of test functions.

use std::error::Error;

/// The result of a chaos test. An error fails the test, and the report shows the error with all its
/// sources.
pub type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Not public API: the result of a test function. `Err` is the text of the error and its sources.
pub type BodyOutcome = std::result::Result<(), String>;

/// Not public API: converts the return value of a test function into its [`BodyOutcome`].
#[diagnostic::on_unimplemented(
    message = "a chaos test cannot return `{Self}`",
    label = "expected `()` or a `Result` whose error converts into `Box<dyn Error + Send + Sync>`",
    note = "`clarity_chaos::Result` fits most tests"
)]
pub trait IntoOutcome {
    /// Converts the return value. `Err` is the message of the failure.
    fn into_outcome(self) -> BodyOutcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> BodyOutcome {
        Ok(())
    }
}

impl<T: IntoOutcome, E: Into<Box<dyn Error + Send + Sync>>> IntoOutcome
    for std::result::Result<T, E>
{
    fn into_outcome(self) -> BodyOutcome {
        match self {
            Ok(value) => value.into_outcome(),
            Err(error) => Err(with_sources(error.into().as_ref())),
        }
    }
}

/// The texts of an error and of its sources, joined by colons. The outermost error comes first.
/// Omits each source whose text is already in the result.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let message = source.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        next = source.source();
    }
    text
}

impl Skipped {
    /// Whether a test's error `message` contains the skip error with this `reason`. Other errors
    /// can wrap the skip error.
    pub(crate) fn is_in(reason: &str, message: &str) -> bool {
        message.contains(&Self(reason.to_owned()).to_string())
    }
}

/// The error of [`Context::skip`](crate::Context::skip). A test that returns this error ends as
/// skipped.
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
    fn into_outcome_error_contains_its_sources() {
        let error = Load(std::io::Error::other("disk on fire"));
        let outcome = Err::<(), _>(error).into_outcome();
        assert_eq!(
            outcome,
            Err("failed to load the model: disk on fire".to_owned())
        );
    }

    #[test]
    fn into_outcome_nested_results_are_flattened() {
        assert_eq!(Ok::<(), String>(()).into_outcome(), Ok(()));
        assert_eq!(
            Ok::<_, String>(Err::<(), _>("inner")).into_outcome(),
            Err("inner".to_owned())
        );
    }
}
